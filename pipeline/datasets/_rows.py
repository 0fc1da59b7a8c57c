"""Rows of annotations -> the manifest of a corpus: what all formats share.

Without splits a seeded split is made in which every label is spread over train, val and test in proportion, and no
group is torn apart. It stands in data/manifest.tsv, from where it can be copied into the annotations to keep it when
videos are added.
"""

import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core import groups
from pipeline.core.errors import UserError
from pipeline.core.manifest import (
    LABEL_SEPARATOR,
    SPLITS,
    DatasetConfig,
    Manifest,
    VideoRecord,
    check_class,
    safe_path,
)
from pipeline.core.plural import number_of
from pipeline.core.remote_folder import RemoteFolder, corpus_root
from pipeline.core.stratify import stratified

log = logging.getLogger(__name__)
LIKE_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
"""What people call splits, in small letters; `SPLITS` alone are read."""
NAMED = 5
"""Number of things that a message names before it says how many more there are."""


class Row(NamedTuple):
    """One video of the annotations."""

    where: str
    """File and line, for messages."""
    video: str
    """Path inside the root of the corpus, which is the id too."""
    labels: tuple[str, ...]
    """Names of its classes; may be empty in the test split alone."""
    split: str = ""
    """Empty where the annotations have no splits."""
    group: str = ""
    """Empty where the video is a group by itself."""

    @classmethod
    def of(cls, where: str, path: str, labels: Iterable[str], split: str = "", group: str = "") -> "Row":
        """A row whose path is put into its normal form, and whose labels lose outer blanks and repetitions.

        Raises:
            UserError: the path leaves the root, a label cannot be the name of a class, or there is none.
        """
        video = safe_path(path, where)
        names = tuple(dict.fromkeys(filter(None, map(str.strip, labels))))
        if not names and split != "test":
            raise UserError(f"{where}: {video!r} has no label; only videos of the split 'test' may.")
        for name in names:
            check_class(name, where)
        return cls(where, video, names, split, " ".join(group.split()))


def root_of(config: DatasetConfig) -> Path | RemoteFolder:
    """The root of the corpus.

    Raises:
        UserError: it is no folder, or cannot be reached.
    """
    root = corpus_root(config.root)
    if not root.is_dir():
        raise UserError(
            f"The corpus' root {root} is no folder: it moved, or its disk is not mounted. Set dataset.root in "
            "conf/dataset/, then `make params`. Where frames were pulled and no videos are at hand, `dvc repro "
            "--downstream extract` goes on."
        )
    return root


def text_of(path: Path, setting: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; `setting` is the one that names the file.

    Raises:
        UserError: the file is missing, or no UTF-8.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Set {setting} in conf/dataset/, then `make params`.")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: no text in UTF-8 ({error.reason}). Save the file as UTF-8.") from error


def class_list(config: DatasetConfig) -> list[str] | None:
    """The names in the file `dataset.classes`, in their order; None where that is null.

    Raises:
        UserError: the file is missing, or a line cannot be the name of a class.
    """
    if config.classes is None:
        return None
    path = Path(config.classes)
    names = text_of(path, "dataset.classes (or null)").splitlines()
    for number, name in enumerate(names, start=1):
        check_class(name, f"{path}, line {number}")
    return names


def manifest(config: DatasetConfig, rows: Sequence[Row]) -> Manifest:
    """The manifest of at least one row, in their order, with splits, groups and classes.

    Raises:
        UserError: a video occurs twice, a label is not in the class list, or no split can be made.
    """
    _refuse_duplicates(rows)
    rows = _grouped_by_pattern(config, rows)
    classes = _classes(config, rows)
    splits = _splits(config, rows)
    records = [
        VideoRecord(row.video, split, row.video, LABEL_SEPARATOR.join(row.labels))
        for row, split in zip(rows, splits, strict=True)
    ]
    for text in (*alike(classes), *torn(rows, splits)):
        log.warning("%s: %s", config.annotations, text)
    of_video = {row.video: row.group for row in rows if row.group}
    return Manifest.from_records(records, classes, where=config.annotations, groups=of_video)


def alike(names: Iterable[str]) -> list[str]:
    """A sentence for each of the first sets of names that differ only by case, Unicode form or blanks, seen or not."""
    sets = defaultdict(list)
    for name in names:
        sets[_look(name)].append(name)
    several = [same for same in sets.values() if len(same) > 1]
    said = []
    for same in several[:NAMED]:
        looks = {unicodedata.normalize("NFC", name) for name in same}
        plain = len(looks) == len(same) and all(name.isprintable() for name in same)
        shown = map(repr if plain else ascii, same)
        said.append(
            f"the labels {' and '.join(shown)} differ only by case, Unicode form or blanks, and are classes of their "
            "own. If they mean the same, write them alike."
        )
    if len(several) > NAMED:
        said.append(f"{len(several) - NAMED:,} more sets of labels differ only so.")
    return said


def _look(name: str) -> str:
    """What is left of a name without case, Unicode form, blanks and characters that are not seen."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(letter for letter in folded if not letter.isspace() and unicodedata.category(letter) != "Cf")


def torn(rows: Sequence[Row], splits: Sequence[str]) -> list[str]:
    """A sentence for the groups that lie in several splits, if there are any; it names the first ones."""
    found = defaultdict(set)
    for row, split in zip(rows, splits, strict=True):
        if row.group:
            found[row.group].add(split)
    apart = [
        f"{group!r} ({', '.join(split for split in SPLITS if split in its)})"
        for group, its in found.items()
        if len(its) > 1
    ]
    if not apart:
        return []
    return [
        f"the splits tear {len(apart)} of {len(found)} groups apart, so scores on val and test flatter: {some(apart)}."
    ]


def some(things: Sequence[object]) -> str:
    """The first of some things for a message, and how many more there are."""
    more = len(things) - NAMED
    return ", ".join(map(str, things[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _refuse_duplicates(rows: Sequence[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.video in first:
            raise UserError(f"{row.where}: {row.video!r} occurs twice, first in {first[row.video]}. Drop one of them.")
        first[row.video] = row.where


def _grouped_by_pattern(config: DatasetConfig, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the groups that `dataset.group_pattern` finds in their paths."""
    if config.group_pattern is None:
        return rows
    if any(row.group for row in rows):
        raise UserError(
            f"{config.annotations} has groups, so dataset.group_pattern must be null. Set it in conf/dataset/."
        )
    found = [re.search(config.group_pattern, row.video) for row in rows]
    if not any(found):
        raise UserError(
            f"dataset.group_pattern {config.group_pattern!r} fits no path, not {rows[0].video!r} for one. Mend it in "
            "conf/dataset/, or set null; then `pipeline params`."
        )
    texts = ["" if match is None else match[match.lastindex or 0] for match in found]
    return [row._replace(group=" ".join(text.split())) for row, text in zip(rows, texts, strict=True)]


def _classes(config: DatasetConfig, rows: Sequence[Row]) -> list[str]:
    classes = class_list(config)
    if classes is None:
        return sorted({label for row in rows for label in row.labels})
    known = set(classes)
    for row in rows:
        for label in row.labels:
            if label not in known:
                near = [name for name in classes if _look(name) == _look(label)]
                but = f", which has {near[0]!a} instead of {label!a}" if near else ""
                raise UserError(
                    f"{row.where}: the label {label!r} is not in {config.classes}{but}. Mend the one or the other."
                )
    return classes


def _splits(config: DatasetConfig, rows: Sequence[Row]) -> list[str]:
    """The split of each row: its own, or where there are none a seeded one; val is taken from train where it lacks."""
    splits = [row.split for row in rows]
    val, test = config.val_share, config.test_share
    if not any(splits):
        log.info("%s has no splits: split by dataset.split_seed %d", config.annotations, config.split_seed)
        made = _drawn(rows, SPLITS, (1 - val - test, val, test), config.split_seed)
        _refuse_empty(config, rows, made)
        return made
    if "val" not in splits and {"train", "test"} <= set(splits):
        log.info("%s has no val: taken from train by dataset.split_seed %d", config.annotations, config.split_seed)
        train = [number for number, split in enumerate(splits) if split == "train"]
        drawn = _drawn([rows[number] for number in train], SPLITS[:2], (1 - val, val), config.split_seed)
        for number, split in zip(train, drawn, strict=True):
            splits[number] = split
    return splits


def _drawn(rows: Sequence[Row], names: Sequence[str], shares: Sequence[float], seed: int) -> list[str]:
    of_video = {row.video: row.group for row in rows if row.group}
    of_each = groups.of_each([row.video for row in rows], of_video)
    return [names[part] for part in stratified([row.labels for row in rows], shares, seed, of_each)]


def _refuse_empty(config: DatasetConfig, rows: Sequence[Row], splits: Sequence[str]) -> None:
    lacking = [split for split in SPLITS if split not in splits]
    if lacking:
        number = len({label for row in rows for label in row.labels})
        bound = len({row.group or row.where for row in rows})
        of_groups = f" in {number_of(bound, 'group')}" if any(row.group for row in rows) else ""
        has = f"{rows[0].where} has {' and '.join(map(repr, rows[0].labels))}"
        separated = f"Labels are separated by {LABEL_SEPARATOR!r} ({has}). " if config.format == "folder" else ""
        raise UserError(
            f"{config.annotations}: {number_of(len(rows), 'video')}{of_groups} of "
            f"{number_of(number, 'class', 'classes')} cannot be split so that {lacking[0]} has one. {separated}"
            "Bring more videos, or name the splits in the annotations."
        )
