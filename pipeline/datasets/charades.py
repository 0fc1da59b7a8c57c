"""Charades: Charades_v1_train.csv and Charades_v1_test.csv with actions such as `c092 11.90 21.20;c147 0.00 12.60`.

`dataset.annotations` is the folder of these and of Charades_v1_classes.txt, whose lines are `c000 Name`. `dataset.root`
is the folder of the clips <id>.mp4. A video has the label of each action that occurs in it. Some have none, which is no
mistake: hence `dataset.unlabelled: negative`. The subject who filmed a clip is its group.

With `dataset.window` each clip is cut into windows of about so many seconds, which are the videos: each has the label
of every action that is seen in it for any time, as PySlowFast labels its training clips, and many have none.
"""

import math
import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipeline.core import segments
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._published import Clips, Edition
from pipeline.datasets._rows import Row

LISTS = {"train": ("charades_v1_train.csv",), "test": ("charades_v1_test.csv",)}
CLASSES = ("charades_v1_classes.txt",)
CLASS = r"c(?P<number>\d+)\s+(?P<name>.+)"
ACTION = re.compile(r"c(?P<number>\d+)\s+(?P<start>\d+\.?\d*)\s+(?P<end>\d+\.?\d*)")
"""A class with the seconds from which and until which it is seen; they may lie beyond the end of the video."""
NEEDED = ("id", "subject", "actions")
LENGTH = "length"
"""Column of the seconds that a clip lasts."""
ENDING = ".mp4"
MOST_WINDOWS = 1000
"""Windows of a clip: one of Charades lasts half a minute, and an action seconds."""
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
    rows = _published.rows_of(files, partial(_read_rows, clips, config.window))
    clips.tell()
    first_windows = [row for row in rows if row.segment is None or row.segment.start == 0]
    _published.tell("Charades", first_windows, len(classes.names), EDITIONS)
    return _rows.manifest(config, _rows.named(rows, classes), classes)


def _read_rows(clips: Clips, window: float | None, file: Path, split: str) -> Iterator[Row]:
    for where, cells in _annotations.table_of(file, NEEDED if window is None else (*NEEDED, LENGTH)):
        path, actions = clips.path(cells["id"], split, ENDING), _actions(cells["actions"], where)
        spans = [(None, None)] if window is None else _windows(cells[LENGTH], window, where)
        for start, end in spans:
            numbers = [action.number for action in actions if action.within(start, end)]
            yield Row.of(where, path, numbers, split, cells["subject"], start, end)


class _Action(NamedTuple):
    """The number of a class, and the seconds from which and until which it is seen."""

    number: str
    start: float
    end: float

    def within(self, start: float | None, end: float | None) -> bool:
        """Whether it begins in a span of the video, or has begun before and not ended yet."""
        start, end = start or 0.0, math.inf if end is None else end
        return self.start < end and (self.start >= start or self.end > start)


def _actions(text: str, where: str) -> list[_Action]:
    found = [(part, ACTION.fullmatch(part.strip())) for part in text.split(";") if part.strip()]
    if wrong := [part for part, action in found if action is None]:
        raise UserError(f"{where}: the action {wrong[0]!r} is no `c092 11.90 21.20`. Mend the line.")
    return [_Action(one["number"], float(one["start"]), float(one["end"])) for _, one in found if one]


def _windows(length: str, window: float, where: str) -> list[tuple[float | None, float | None]]:
    """Start and end of as many equal windows as come nearest to the wanted length; the last ends with the file."""
    seconds = segments.seconds(length, where)
    if not seconds or seconds < 0:
        raise UserError(f"{where}: the length {length!r} is no number of seconds, which dataset.window needs.")
    number = max(1, round(seconds / window))
    if number > MOST_WINDOWS:
        raise UserError(
            f"{where}: dataset.window {window:g} would cut {seconds:g} s into {number:,} windows, and at most "
            f"{MOST_WINDOWS:,} are made of a clip. Give the seconds of an action, such as 4."
        )
    edges = [None, *(round(seconds * part / number, 2) for part in range(1, number)), None]
    return list(pairwise(edges))
