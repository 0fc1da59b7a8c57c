"""Moments in Time: the lines `label/clip.mp4,label,3,1` of trainingSet.csv, which end in votes for and against.

`dataset.annotations` is the folder of trainingSet.csv, validationSet.csv and moments_categories.txt, which has a line
`name,number` for each class. `dataset.root` is the folder of `training` and `validation`, to which the paths are
relative. The label is the second cell: names of classes have `/` and `+`, and folders do not tell them.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._published import Edition
from pipeline.datasets._rows import Row

LISTS = {"train": ("trainingset*.csv",), "val": ("validationset*.csv",)}
FOLDERS = {"train": "training", "val": "validation"}
CLASSES = ("moments_categories.txt",)
CLASS = r"(?P<name>.+),\s*(?P<number>\d+)"
CELLS = 4
EDITIONS = (
    Edition("Moments in Time v1", 339, {}),
    Edition("Moments in Time v2", 305, {}),
)


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the lists.

    Raises:
        UserError: a file is missing or malformed, or a label is not in the class file, as where that is of another
            version.
    """
    _annotations.root_of(config)
    folder = _annotations.folder_of(config)
    files = _annotations.lists_of(folder, LISTS, needed=LISTS)
    classes = _annotations.numbered_classes(config, folder, CLASSES, CLASS)
    rows = _published.rows_of(files, _read_rows)
    _published.tell("Moments in Time", rows, len(classes.names), EDITIONS)
    return _rows.manifest(config, rows, classes)


def _read_rows(file: Path, split: str) -> Iterator[Row]:
    for where, cells in _annotations.cells_of(file, skipinitialspace=True):
        if len(cells) != CELLS or not all(cell.strip().isdigit() for cell in cells[2:]):
            raise UserError(f"{where}: {','.join(cells)!r} is no `clip.mp4,label,votes for,votes against`. Mend it.")
        yield Row.of(where, f"{FOLDERS[split]}/{cells[0].strip()}", [cells[1]], split)
