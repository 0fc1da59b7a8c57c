"""Charades: Charades_v1_train.csv and Charades_v1_test.csv with actions such as `c092 11.90 21.20;c147 0.00 12.60`.

`dataset.annotations` is the folder of these and of Charades_v1_classes.txt, whose lines are `c000 Name`. `dataset.root`
is the folder of the clips <id>.mp4. A video has the label of each action that occurs in it; when it occurs is not read.
Some have none, which is no mistake: hence `dataset.unlabelled: negative`. The subject who filmed a clip is its group.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._published import Clips, Edition
from pipeline.datasets._rows import Row

LISTS = {"train": ("charades_v1_train.csv",), "test": ("charades_v1_test.csv",)}
CLASSES = ("charades_v1_classes.txt",)
CLASS = r"c(?P<number>\d+)\s+(?P<name>.+)"
ACTION = re.compile(r"c(?P<number>\d+)\s+(?P<start>[\d.]+)\s+(?P<end>[\d.]+)")
"""A class with the seconds from which and until which it is seen; they may lie beyond the end of the video."""
NEEDED = ("id", "subject", "actions")
ENDING = ".mp4"
EDITIONS = (Edition("Charades", 157, {"train": 7_985, "test": 1_863}),)


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the CSVs.

    Raises:
        UserError: a file is missing or malformed, or an action is of no class; names the file and line.
    """
    root = _annotations.root_of(config)
    folder = _annotations.folder_of(config)
    files = _annotations.lists_of(folder, LISTS, needed=LISTS)
    classes = _annotations.numbered_classes(config, folder, CLASSES, CLASS)
    clips = Clips(root)
    rows = _published.rows_of(files, partial(_read_rows, clips))
    clips.tell()
    _published.tell("Charades", rows, len(classes.names), EDITIONS)
    return _rows.manifest(config, _rows.named(rows, classes), classes)


def _read_rows(clips: Clips, file: Path, split: str) -> Iterator[Row]:
    for where, cells in _annotations.table_of(file, NEEDED):
        found = [(text, ACTION.fullmatch(text.strip())) for text in cells["actions"].split(";") if text.strip()]
        if wrong := [text for text, action in found if action is None]:
            raise UserError(f"{where}: the action {wrong[0]!r} is no `c092 11.90 21.20`. Mend the line.")
        numbers = [action["number"] for _, action in found if action]
        yield Row.of(where, clips.path(cells["id"], split, ENDING), numbers, split, cells["subject"])
