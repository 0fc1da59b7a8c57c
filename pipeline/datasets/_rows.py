"""Rows of annotations -> the manifest of a corpus: what all formats share.

What becomes of rows without splits is told in _splits.py.
"""

import logging
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest, VideoRecord
from pipeline.core.names import LABEL_SEPARATOR, NO_CLASS, UNKNOWN, check_class, safe_path
from pipeline.core.plural import number_of
from pipeline.core.segments import Segment
from pipeline.datasets import _splits
from pipeline.datasets._annotations import ClassFile, categories, class_file

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
    """Path inside the root of the corpus."""
    labels: tuple[str, ...]
    """Names of its classes; where it is empty, `dataset.unlabelled` says what that means."""
    split: str = ""
    """Empty where the annotations have no splits."""
    group: str = ""
    """Empty where the video is a group by itself; a segment then is of the group of its file."""
    segment: Segment | None = None
    """The span of the file that is the video; None: all of it."""
    unknown: tuple[str, ...] = ()
    """Names of the classes of which nobody knows whether it shows them."""

    @property
    def id(self) -> str:
        """The id of the video: its path, and the times of a segment."""
        return self.video if self.segment is None else f"{self.video}{self.segment.suffix}"

    @classmethod
    def of(
        cls,
        where: str,
        path: str,
        labels: Iterable[str],
        split: str = "",
        group: str = "",
        start: float | None = None,
        end: float | None = None,
    ) -> "Row":
        """A row whose path is put into its normal form, and whose labels lose outer blanks and repetitions.

        A label behind `UNKNOWN` is one of which nobody knows whether the video shows it.

        Raises:
            UserError: the path leaves the root, a label cannot be the name of a class, or is there and not known, or
                start and end, in seconds, are no span of a file.
        """
        video = safe_path(path, where)
        texts = dict.fromkeys(filter(None, map(str.strip, labels)))
        names = tuple(text for text in texts if not text.startswith(UNKNOWN))
        marked = (text.removeprefix(UNKNOWN).strip() for text in texts if text.startswith(UNKNOWN))
        unknown = tuple(dict.fromkeys(marked))
        for name in (*names, *unknown):
            check_class(name, where)
        if both := set(names) & set(unknown):
            raise UserError(f"{where}: {min(both)!r} is a label, and one that is not known ({UNKNOWN}). Drop one.")
        span = Segment.between(start, end, where)
        return cls(where, video, names, split, " ".join(group.split()), span, unknown)


def named(rows: Sequence[Row], known: ClassFile, hint: str = "") -> list[Row]:
    """The rows with names of classes for their labels, which are numbers that count `known` from 0.

    `hint` is what an index past the end may come from.

    Raises:
        UserError: there is no class of a number.
    """
    used = {int(label) for row in rows for label in (*row.labels, *row.unknown)}
    if used and max(used) == len(known.names) and 0 not in used:
        hint = "They seem to count from 1: subtract 1. "
    for row in rows:
        if wrong := [label for label in (*row.labels, *row.unknown) if int(label) >= len(known.names)]:
            raise UserError(
                f"{row.where}: there is no class {int(wrong[0])}, as {known.path} has {len(known.names)}, counted from "
                f"0. {hint}Mend the one or the other."
            )
    return [row._replace(labels=_of(row.labels, known), unknown=_of(row.unknown, known)) for row in rows]


def _of(numbers: Iterable[str], known: ClassFile) -> tuple[str, ...]:
    return tuple(dict.fromkeys(known.names[int(number)] for number in numbers))


def manifest(config: DatasetConfig, rows: Sequence[Row], known: ClassFile | None = None) -> Manifest:
    """The manifest of at least one row, in their order, with splits, groups and classes.

    `known` are the classes where they stand elsewhere than in the file `dataset.classes`.

    Raises:
        UserError: a video occurs twice or has no label, a label is not in the class list, or no split can be made.
    """
    rows = _tested(config, rows)
    _refuse_unlabelled(config, rows)
    _refuse_duplicates(rows)
    rows = _grouped_by_file(_grouped_by_pattern(config, rows))
    classes = _classes(rows, known or class_file(config))
    rows = _partly_known(rows, categories(config, classes))
    of_video = {row.id: row.group for row in rows if row.group}
    given = [row.split for row in rows]
    drawn = _splits.to_draw(config, given)
    names = [row.labels or ("",) for row in rows]  # no class is dealt to splits like a class
    splits = _splits.draw(config, [row.id for row in rows], names, given, of_video, drawn)
    records = [
        VideoRecord(row.id, split, row.video, labels, "", *_times(row))
        for row, split, labels in zip(rows, splits, _texts(config, rows, splits), strict=True)
    ]
    for text in (*alike(classes), *torn(rows, splits)):
        log.warning("%s: %s", config.annotations, text)
    made = Manifest.from_records(records, classes, where=config.annotations, groups=of_video)
    return replace(made, drawn=drawn)


def _times(row: Row) -> tuple[float | None, float | None]:
    """Start and end of a row's segment; None for the end of the file, and for both of a whole one."""
    if row.segment is None:
        return None, None
    return row.segment.start, None if math.isinf(row.segment.end) else row.segment.end


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


def _tested(config: DatasetConfig, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows where `dataset.test_split` says that val is the test: without those of test."""
    if config.test_split == "test":
        return rows
    if not any(row.split == "val" for row in rows):
        raise UserError(
            f"dataset.test_split is val, and {config.annotations} has no video of it. Set test in conf/dataset/."
        )
    log.info("%s: the split val is the test (dataset.test_split)", config.annotations)
    return [row._replace(split="test") if row.split == "val" else row for row in rows if row.split != "test"]


def _refuse_unlabelled(config: DatasetConfig, rows: Sequence[Row]) -> None:
    for row in rows:
        if config.unlabelled == "refuse" and not (row.labels or row.unknown) and row.split != "test":
            raise UserError(
                f"{row.where}: {row.video!r} has no label; only videos of the split 'test' may. Where that means that "
                "it shows none of the classes, set dataset.unlabelled: negative."
            )


def _texts(config: DatasetConfig, rows: Sequence[Row], splits: Sequence[str]) -> list[str]:
    """The labels of each video as the manifest has them; says how many show none of the classes."""
    scored = any(row.labels or row.unknown for row, split in zip(rows, splits, strict=True) if split == "test")
    none = NO_CLASS if config.unlabelled == "negative" else ""
    texts = [
        LABEL_SEPARATOR.join((*row.labels, *(UNKNOWN + name for name in row.unknown)))
        or (none if scored or split != "test" else "")
        for row, split in zip(rows, splits, strict=True)
    ]
    if count := texts.count(NO_CLASS):
        log.info("%s: %s without a class (dataset.unlabelled)", config.annotations, number_of(count, "video"))
    return texts


def _partly_known(rows: Sequence[Row], category_of: Mapping[str, str]) -> Sequence[Row]:
    """The rows with more unknown classes: all those of categories of which a row with labels has none."""
    if not category_of:
        return rows
    found = []
    for row in rows:
        annotated = {category_of[name] for name in row.labels}
        others = [name for name, category in category_of.items() if annotated and category not in annotated]
        found.append(row._replace(unknown=tuple(dict.fromkeys((*row.unknown, *others)))))
    return found


def _refuse_duplicates(rows: Sequence[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.id in first:
            raise UserError(f"{row.where}: {row.id!r} occurs twice, first in {first[row.id]}. Drop one of them.")
        first[row.id] = row.where


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


def _grouped_by_file(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the path of the file as the group of its segments, where they have none of their own."""
    cut = {row.video for row in rows if row.segment}
    if cut:
        segments = sum(row.segment is not None for row in rows)
        of = number_of(segments, "segment"), number_of(len(cut), "file")
        log.info("%s of %s, which no split that is made tears apart", *of)
    return [row._replace(group=row.video) if row.video in cut and not row.group else row for row in rows]


def _classes(rows: Sequence[Row], known: ClassFile | None) -> Sequence[str]:
    if known is None:
        return sorted({label for row in rows for label in (*row.labels, *row.unknown)})
    names = set(known.names)
    for row in rows:
        for label in (*row.labels, *row.unknown):
            if label not in names:
                near = [name for name in known.names if _look(name) == _look(label)]
                but = f", which has {near[0]!a} instead of {label!a}" if near else ""
                raise UserError(
                    f"{row.where}: the label {label!r} is not in {known.path}{but}. Mend the one or the other."
                )
    return known.names
