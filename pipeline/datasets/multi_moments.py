"""Multi-Moments in Time: the lines `folder/clip.mp4,33,118` of trainingSet.csv, whose numbers count a class file.

`dataset.annotations` is the folder of trainingSet.csv and validationSet.csv, and perhaps of testSet.csv, which has only
paths. `dataset.root` is the folder `videos`, and `dataset.classes` the class file of the SAME version: version 2 is
version 1 without 21 of its 313 classes, so that numbers of the one, read with the names of the other, are wrong from 9
on. null takes moments_categories.txt of the folder of the lists, with lines `name,number`. The folder in a path is a
label of the older corpus Moments in Time, and says nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.video_files import SUFFIXES
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._annotations import ClassFile
from pipeline.datasets._published import Edition
from pipeline.datasets._rows import Row

LISTS = {"train": ("trainingset*",), "val": ("validationset*",), "test": ("testset*", "testingset*")}
CLASSES = ("moments_categories.txt",)
CLASS = r"(?P<name>.+),\s*(?P<number>\d+)"
"""A line of the class file; names alone do as well."""
EDITIONS = (
    Edition("Multi-Moments in Time v1", 313, {"train": 1_025_862, "val": 10_000, "test": 10_000}),
    Edition("Multi-Moments in Time v2", 292, {}),
)


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the lists.

    Raises:
        UserError: a file is missing or malformed, or lists and class file are of different versions.
    """
    _annotations.root_of(config)
    folder = _annotations.folder_of(config)
    files = _annotations.lists_of(folder, LISTS, needed=("train", "val"))
    classes = _annotations.numbered_classes(config, folder, CLASSES, CLASS)
    rows = _published.rows_of(files, _read_rows)
    _refuse_other_version(rows, classes)
    _published.tell("Multi-Moments in Time", rows, len(classes.names), EDITIONS)
    return _rows.manifest(config, _rows.named(rows, classes), classes)


def _read_rows(file: Path, split: str) -> Iterator[Row]:
    for where, cells in _annotations.cells_of(file, skipinitialspace=True):
        numbers = len(cells)
        while numbers and _is_number(cells[numbers - 1]):
            numbers -= 1
        path = ",".join(cells[:numbers]).strip()  # a path may have a comma
        if not path.lower().endswith(SUFFIXES):
            raise UserError(f"{where}: {','.join(cells)!r} is no `clip.mp4,number,...`. Mend the line.")
        yield Row.of(where, path, cells[numbers:], split)


def _is_number(cell: str) -> bool:
    return cell.strip().isascii() and cell.strip().isdigit()


def _refuse_other_version(rows: Sequence[Row], classes: ClassFile) -> None:
    """Refuse lists whose largest number is not that of the last class."""
    last = max(rows, key=lambda row: max(map(int, row.labels), default=-1))
    used = max(map(int, last.labels), default=-1) + 1
    if used != len(classes.names):
        of_lists, of_names = (_version(number) for number in (used, len(classes.names)))
        raise UserError(
            f"{last.where}: the largest number of a class in the lists is {used - 1}, and {classes.path} has "
            f"{len(classes.names)} classes, which end at {len(classes.names) - 1}. They are of different versions "
            f"({of_lists} and {of_names}), and names would be wrong. Set dataset.classes to the file of this version."
        )


def _version(classes: int) -> str:
    names = {edition.classes: edition.name.rpartition(" ")[2] for edition in EDITIONS}
    return names.get(classes, f"one of {classes} classes")
