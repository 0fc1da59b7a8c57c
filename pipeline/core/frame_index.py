"""The index of the frames: for every video that has frames, its shard, the number of frames and their size.

Stage `extract` writes data/frames/index.tsv with all `COLUMNS`; stage `pack` writes data/lmdb/index.tsv with the
`PACKED_COLUMNS` of it. Both are sorted by the video's id.
"""

from pathlib import Path

import pandas as pd

from pipeline.core import checksums, tsv
from pipeline.core.errors import UserError

FILE = "index.tsv"
_SHARD = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
PACKED_COLUMNS = ("video", "shard", "frames", "width", "height")
COLUMNS = (*PACKED_COLUMNS, "promised", "decoded", "damaged", "note")
"""`promised` counts the frames that the video stream makes at the constant rate if all of it is there, `decoded` the
pictures that were decoded and `damaged` those that are damaged or were not decoded, before any is repeated or dropped
to reach the rate; `note` is what is to be known of the frames, and FFmpeg's words."""
_NUMBERS = ("frames", "width", "height", "promised", "decoded", "damaged")


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the index of extracted frames: all `COLUMNS` of `table`."""
    tsv.write(path, table[list(COLUMNS)])


def read(path: Path) -> pd.DataFrame:
    """Read the index of extracted frames: `COLUMNS`, with integers in those of numbers and sizes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return _checked(tsv.read(path, COLUMNS, "extract", numbers=_NUMBERS), path)


def write_packed(path: Path, table: pd.DataFrame) -> None:
    """Write the index of packed frames: the `PACKED_COLUMNS` of `table`, which may have more."""
    tsv.write(path, table[list(PACKED_COLUMNS)])


def read_packed(path: Path, stage: str = "pack") -> pd.DataFrame:
    """Read the index of what a `stage` packed: `PACKED_COLUMNS`, with integers in those of numbers and sizes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return _checked(tsv.read(path, PACKED_COLUMNS, stage, numbers=_NUMBERS), path)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The same table, whose shards are files of its own folder."""
    strange = table["shard"][~table["shard"].str.fullmatch(_SHARD)]
    if len(strange):
        raise UserError(f"{path}, line {strange.index[0] + 2}: {strange.iloc[0]!r} is no shard. {checksums.REBUILD}")
    return table
