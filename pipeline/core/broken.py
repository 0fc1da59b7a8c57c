"""The ledger of broken videos: who gave no frame, and why, in FFmpeg's own words."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.core import tsv


class BrokenVideo(NamedTuple):
    """One line of broken.tsv."""

    video: str
    split: str
    path: str
    reason: str
    """A code: missing, empty, not_a_video, truncated, no_video_stream, decode_failed, crashed, timeout."""
    words: str
    """What FFmpeg said, on one line."""


def write_broken(path: Path, broken: Iterable[BrokenVideo]) -> None:
    """Write the ledger, all or nothing; also when it is empty."""
    tsv.write(path, pd.DataFrame(list(broken), columns=list(BrokenVideo._fields), dtype=str))


def read_broken(path: Path) -> list[BrokenVideo]:
    """Read what `write` wrote."""
    table = tsv.read(path, BrokenVideo._fields, stage="extract")
    return [BrokenVideo(*row) for row in table.itertuples(index=False)]
