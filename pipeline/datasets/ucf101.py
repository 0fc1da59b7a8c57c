"""UCF101: trainlist01.txt with lines `Class/v_Class_g01_c01.avi 1`, testlist01.txt with paths, and classInd.txt.

`dataset.annotations` is the folder ucfTrainTestlist, `dataset.split_number` says which of the three splits is read, and
`dataset.root` is the folder of a folder for each class. The folder is the label of a test video, which has no number;
numbers count from 1. Clips of one recording (g01) are a group, which the val that is taken from train tears not apart.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._annotations import ClassFile
from pipeline.datasets._published import Edition
from pipeline.datasets._rows import Row

CLASSES = ("classind.txt",)
CLASS = r"(?P<number>\d+)\s+(?P<name>.+)"
GROUP = re.compile(r"(.+_g\d+)_c\d+")
EDITIONS = {
    1: Edition("UCF101, split 1", 101, {"train": 9_537, "test": 3_783}),
    2: Edition("UCF101, split 2", 101, {"train": 9_586, "test": 3_734}),
    3: Edition("UCF101, split 3", 101, {"train": 9_624, "test": 3_696}),
}


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the lists.

    Raises:
        UserError: a file is missing or malformed, or a number is not that of the folder; names the file and line.
    """
    _annotations.root_of(config)
    folder = _annotations.folder_of(config)
    names = {split: (f"{split}list0{config.split_number}.txt",) for split in ("train", "test")}
    files = _annotations.lists_of(folder, names, needed=names)
    classes = _annotations.numbered_classes(config, folder, CLASSES, CLASS, first=1)
    rows = _published.rows_of(files, partial(_read_rows, classes))
    _published.tell("UCF101", rows, len(classes.names), [EDITIONS[config.split_number]])
    return _rows.manifest(config, rows, classes)


def _read_rows(classes: ClassFile, file: Path, split: str) -> Iterator[Row]:
    number_of = {name: str(number) for number, name in enumerate(classes.names, start=1)}
    for where, line in _annotations.lines_of(file):
        text, _, number = line.partition(" ")
        path = PurePosixPath(text)
        if len(path.parts) != 2 or (split == "train" and not number):
            raise UserError(f"{where}: {line!r} is no `Class/clip.avi{' number' * (split == 'train')}`. Mend the line.")
        label = path.parts[0]
        if number and label in number_of and number.strip() != number_of[label]:
            raise UserError(
                f"{where}: the number {number.strip()} is not that of the folder {label!r}, which {classes.path} gives "
                f"{number_of[label]}. Mend the one or the other."
            )
        group = GROUP.fullmatch(path.stem)
        yield Row.of(where, text, [label], split, group[1] if group else "")
