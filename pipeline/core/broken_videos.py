"""The list of broken videos, data/broken.tsv: which videos gave no frame, and why; and those without sound or flow."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.core import checksums, tsv
from pipeline.core.manifest import Manifest


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


def write_ledger(path: Path, manifest: Manifest, reasons: Mapping[str, tuple[str, str]]) -> None:
    """Write the list of the videos that have a reason, in the manifest's order, and its checksums beside it.

    Args:
        reasons: for each video the reason, and what is wrong in words.
    """
    rows = manifest.table[manifest.table["video"].isin(reasons)].itertuples(index=False)
    write_broken(path, (BrokenVideo(row.video, row.split, row.path, *reasons[row.video]) for row in rows))
    checksums.write(path.with_suffix(f".{checksums.NAME}"), [path])


def read_broken(path: Path) -> list[BrokenVideo]:
    """Read the list that stage `extract` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    table = tsv.read(path, BrokenVideo._fields, stage="extract")
    return [BrokenVideo(*row) for row in table.itertuples(index=False)]
