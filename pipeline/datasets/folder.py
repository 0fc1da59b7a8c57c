"""A folder of clips and a CSV with the columns `path,labels[,split]`.

Paths are relative to the folder, labels are separated by ";". A video's id is its path. Without a split column a
seeded split is made in which every label is spread over train, val and test in proportion; it stands in
data/manifest.tsv, from where it can be copied into the CSV to keep it when videos are added.
"""

import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import UserError
from pipeline.core.manifest import (
    LABEL_SEPARATOR,
    MISSING,
    SPLITS,
    DatasetConfig,
    Manifest,
    VideoRecord,
    check_class,
    file_fingerprint,
    safe_path,
)
from pipeline.core.stratify import stratified

log = logging.getLogger(__name__)


class Row(NamedTuple):
    """One line of the CSV."""

    where: str
    """File and line, for messages."""
    video: str
    labels: tuple[str, ...]
    split: str
    """Empty where the CSV has no such column."""


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the CSV.

    Raises:
        UserError: the folder or CSV is missing or malformed; names the file and line.
    """
    root, annotations = Path(config.root), Path(config.annotations)
    if not root.is_dir():
        raise UserError(f"The corpus' root {root} is no folder. Set dataset.root in conf/dataset/, then `make params`.")
    rows = list(_rows(annotations))
    if not rows:
        raise UserError(f"{annotations} lists no video. Add a line `path,labels` for each.")
    _refuse_duplicates(rows)
    classes = _classes(config, rows)
    splits = [row.split for row in rows]
    if not any(splits):
        shares = 1 - config.val_share - config.test_share, config.val_share, config.test_share
        parts = stratified([row.labels for row in rows], shares, config.split_seed)
        splits = [SPLITS[part] for part in parts]
        log.info("%s has no split column: split by dataset.split_seed %d", annotations, config.split_seed)
        if lacking := [split for split in SPLITS if split not in splits]:
            raise UserError(
                f"{annotations}: {len(rows)} videos of {len(classes)} classes cannot be split so that {lacking[0]} has "
                f"one. Labels are separated by {LABEL_SEPARATOR!r} ({rows[0].where} has {rows[0].labels}); or add a "
                "split column."
            )
    records = [
        VideoRecord(row.video, split, row.video, LABEL_SEPARATOR.join(row.labels), file_fingerprint(root / row.video))
        for row, split in zip(rows, splits, strict=True)
    ]
    missing = [root / record.path for record in records if record.fingerprint == MISSING]
    if missing:  # they are listed as broken
        log.warning(
            "%d of %d files are missing, e.g. %s: is dataset.root right?", len(missing), len(records), missing[0]
        )
    return Manifest.from_records(records, classes, where=str(annotations))


def _rows(path: Path) -> Iterator[Row]:
    if not path.is_file():
        raise UserError(f"{path} does not exist. Set dataset.annotations in conf/dataset/, then `make params`.")
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    read = 0  # lines up to the last good row
    try:
        header = list(reader.fieldnames or [])
        if sorted(header) not in (["labels", "path"], ["labels", "path", "split"]):
            raise UserError(
                f"{path}, line 1: the header is {','.join(header)!r}. It must have path and labels, and may have split."
            )
        read = reader.line_num
        for cells in reader:
            yield _row(cells, f"{path}, line {reader.line_num}", "split" in header)
            read = reader.line_num
    except csv.Error as error:
        raise UserError(f"{path}, line {read + 1}: no readable CSV ({error}). Mend its quotes.") from error


def _text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: no text in UTF-8 ({error.reason}). Save the file as UTF-8.") from error


def _row(cells: dict[str, str], where: str, has_split: bool) -> Row:
    if None in cells or None in cells.values():
        raise UserError(f"{where}: more or fewer cells than the header has. Quote a path or label that has a comma.")
    split = cells.get("split", "").strip()
    if has_split and split not in SPLITS:
        raise UserError(f"{where}: the split {split!r} is none of {', '.join(SPLITS)}.")
    video = safe_path(cells["path"], where)
    labels = tuple(dict.fromkeys(filter(None, (label.strip() for label in cells["labels"].split(LABEL_SEPARATOR)))))
    if not labels and split != "test":
        raise UserError(f"{where}: {video!r} has no label; only videos of the split 'test' may.")
    for label in labels:
        check_class(label, where)
    return Row(where, video, labels, split)


def _refuse_duplicates(rows: list[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.video in first:
            raise UserError(f"{row.where}: {row.video!r} occurs twice, first in {first[row.video]}. Drop one of them.")
        first[row.video] = row.where


def _classes(config: DatasetConfig, rows: list[Row]) -> list[str]:
    if config.classes is None:
        return sorted({label for row in rows for label in row.labels})
    path = Path(config.classes)
    if not path.is_file():
        raise UserError(f"{path} does not exist. Set dataset.classes in conf/dataset/ (or null), then `make params`.")
    classes = _text(path).splitlines()
    for number, name in enumerate(classes, start=1):
        check_class(name, f"{path}, line {number}")
    known = set(classes)
    for row in rows:
        for label in row.labels:
            if label not in known:
                raise UserError(f"{row.where}: the label {label!r} is not in {path}. Mend the one or the other.")
    return classes
