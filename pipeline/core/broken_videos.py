"""The list of broken videos, data/broken.tsv: which videos gave no frame, and why."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.core import tsv


class BrokenVideo(NamedTuple):
    """One row of broken.tsv; `video`, `split` and `path` are those of the manifest."""

    video: str
    split: str
    path: str
    reason: str
    """One of missing, unreadable, empty, not_a_video, refers_elsewhere, truncated, no_video_stream, still, encrypted,
    decode_failed, damaged, partial, outside, too_large, crashed and timeout."""
    words: str
    """What is wrong, and FFmpeg's messages, on one line."""


def write_broken(path: Path, broken: Iterable[BrokenVideo]) -> None:
    """Write the list, all or nothing; an empty one is a file with a header alone."""
    tsv.write(path, pd.DataFrame(list(broken), columns=list(BrokenVideo._fields), dtype=str))


def read_broken(path: Path) -> list[BrokenVideo]:
    """Read the list that stage `extract` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    table = tsv.read(path, BrokenVideo._fields, stage="extract")
    return [BrokenVideo(*row) for row in table.itertuples(index=False)]
