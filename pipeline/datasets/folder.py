"""A folder of clips and a CSV with the columns `path,labels`, and perhaps `split`, `group`, `start` and `end`.

Paths are relative to the folder, labels are separated by ";", and `?jump` among them says that nobody knows whether the
video shows `jump`. Start and end, in seconds or as HH:MM:SS.mmm, make a video of a part of a file (core/segments.py). A
video's id is its path, with the times of a part. Tabs or semicolons may separate the columns, `label` is another name
of `labels`, and `dataset.columns` names columns that are called otherwise. All others are left alone. What becomes of
rows without a split is told in pipeline/datasets/_rows.py.
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.core import segments
from pipeline.core.errors import UserError
from pipeline.core.manifest import COLUMNS, SPLITS, DatasetConfig, Manifest
from pipeline.core.names import LABEL_SEPARATOR
from pipeline.datasets import _annotations, _rows
from pipeline.datasets._rows import Row

log = logging.getLogger(__name__)
DELIMITERS = (",", "\t", ";")
NAMES = {name: (name,) for name in COLUMNS} | {"labels": ("labels", "label")}
"""What a column holds -> how it may be called."""
NEEDED = ("path", "labels")


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the CSV.

    Raises:
        UserError: the folder or CSV is missing or malformed; names the file and line.
    """
    _annotations.root_of(config)
    annotations = Path(config.annotations)
    rows = list(_read_rows(annotations, config.columns))
    if not rows:
        raise UserError(f"{annotations} lists no video. Add a line `path,labels` for each.")
    return _rows.manifest(config, rows)


def delimiter(header: str) -> str:
    """The delimiter of a CSV by its first line: that which cuts it into most cells, a comma where several do."""
    return max(DELIMITERS, key=header.count)


def tidy(name: str) -> str:
    """The name of a column without outer blanks, in small letters."""
    return name.strip().lower()


def _read_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    text = _annotations.text_of(path, "dataset.annotations")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter(text.partition("\n")[0]))
    read = 0  # lines up to the last good row
    try:
        header = list(reader.fieldnames or [])
        names = _columns(header, columns, path)
        read = reader.line_num
        for cells in reader:
            if any(name is None or text.strip() for name, text in cells.items() if text):  # empty in a spreadsheet
                yield _row(cells, f"{path}, line {reader.line_num}", names)
            read = reader.line_num
    except csv.Error as error:
        raise UserError(f"{path}, line {read + 1}: no readable CSV ({error}). Mend its quotes.") from error


def _columns(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, str]:
    """What a column holds -> its name in the header; says what was read otherwise than it is written, or left alone.

    Raises:
        UserError: a column is missing, or there are two of it.
    """
    known = {kind: (tidy(columns[kind]),) if kind in columns else names for kind, names in NAMES.items()}
    found = {kind: [name for name in header if tidy(name) in names] for kind, names in known.items()}
    wrong = {kind for kind, names in found.items() if len(names) > 1}
    wrong |= {kind for kind in (*NEEDED, *columns) if not found[kind]}
    if wrong:
        wanted = " and ".join(" or ".join(known[kind]) for kind in NEEDED)
        more = ", ".join(known[kind][0] for kind in COLUMNS if kind not in NEEDED)
        raise UserError(
            f"{path}, line 1: the header is {', '.join(map(repr, header))}. It must have {wanted} once, and may have "
            f"{more}. Rename a column, or name yours in dataset.columns, e.g. "
            "{path: filename, labels: action}."
        )
    names = {kind: matches[0] for kind, matches in found.items() if matches}
    if changed := [name for name in names.values() if name != tidy(name)]:
        log.info("%s: the columns %s are read as %s", path, _listed(changed), _listed(map(tidy, changed)))
    if others := [name for name in dict.fromkeys(header) if name not in names.values()]:
        log.info("%s: the columns %s are left alone", path, _listed(others))
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _row(cells: dict[str, str], where: str, names: Mapping[str, str]) -> Row:
    if None in cells or None in cells.values():
        raise UserError(f"{where}: more or fewer cells than the header has. Quote a path or label that has a comma.")
    split = cells[names["split"]].strip() if "split" in names else ""
    if "split" in names and split not in SPLITS:
        raise UserError(f"{where}: the split {split!r} is none of {', '.join(SPLITS)}.")
    group = cells[names["group"]] if "group" in names else ""
    start, end = (segments.seconds(cells[names[kind]], where) if kind in names else None for kind in segments.COLUMNS)
    labels = cells[names["labels"]].split(LABEL_SEPARATOR)
    return Row.of(where, cells[names["path"]], labels, split, group, start, end)
