"""Pairs of videos that look alike: every outline against every other, then the nearest of each video closely."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pipeline.clips.frame_store import FrameStore
from pipeline.core.progress_bar import progress_bar
from pipeline.near_doubles import motion

NEAREST = 8
"""Videos with the nearest outlines that each video is compared with closely."""
ROWS, COLUMNS = 1 << 11, 1 << 14
"""Outlines that are multiplied with as many others in one go: 128 MiB of products."""


class Pair(NamedTuple):
    """Two videos that look alike."""

    one: str
    other: str
    likeness: float
    """By motion.likeness, at most 1."""


class Found(NamedTuple):
    """What a search found."""

    pairs: list[Pair]
    """Those that look alike, the most alike first."""
    still: list[str]
    """Videos in which too little moves to tell."""


def find(store: FrameStore, videos: Sequence[str], fps: int, least: float, scratch: Path) -> Found:
    """Pairs of `videos` whose likeness is `least` or more.

    Each video is compared closely with the 8 nearest alone: of more copies of one video, not every pair is listed.

    Args:
        store: has frames of each video.
        fps: frames a second of the store.
        scratch: folder for 15 KB a video, for as long as it takes.

    Raises:
        UserError: a shard of the store is damaged.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        size = len(videos), motion.MOST, motion.SIDE**2
        frames = np.lib.format.open_memmap(Path(folder) / "frames.npy", mode="w+", dtype=np.uint8, shape=size)
        lengths, outlines = np.zeros(len(videos), int), np.zeros((len(videos), motion.OUTLINE), np.float32)
        moves = np.zeros(len(videos), bool)
        for row, video in enumerate(progress_bar(videos, desc="frames", unit="video")):
            own = motion.frames(store, video, fps)
            frames[row, : len(own)], lengths[row] = own, len(own)
            moves[row], outlines[row] = not motion.is_still(own), motion.outline(own)
        rows, pairs = np.flatnonzero(moves), []
        for one, other in progress_bar(rows[nearest(outlines[rows])].tolist(), desc="compare", unit="pair"):
            alike = motion.likeness(frames[one, : lengths[one]], frames[other, : lengths[other]])
            if alike >= least:
                pairs.append(Pair(videos[one], videos[other], alike))
    pairs.sort(key=lambda pair: (-pair.likeness, pair.one, pair.other))
    return Found(pairs, [videos[row] for row in np.flatnonzero(~moves).tolist()])


def nearest(outlines: np.ndarray) -> np.ndarray:
    """Pairs (row, later row) of which one is among the nearest of the other by the cosine, sorted, int (P, 2).

    Args:
        outlines: float32 (V, D), each of length 1.
    """
    found = [np.empty((0, 2), int), *_nearest_of_each(torch.from_numpy(outlines))]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _nearest_of_each(outlines: torch.Tensor) -> Iterator[np.ndarray]:
    """Pairs (row, one of its nearest), some rows at a time; all others where there are fewer."""
    each = min(NEAREST, len(outlines) - 1)
    for start in range(0, len(outlines), ROWS):
        some = outlines[start : start + ROWS]
        values, rows = torch.empty(len(some), 0), torch.empty(len(some), 0, dtype=torch.long)
        for first in range(0, len(outlines), COLUMNS):
            products = some @ outlines[first : first + COLUMNS].T
            products.diagonal(start - first).fill_(-2.0)  # itself: below every cosine
            top = products.topk(min(each, products.shape[1]))
            values, rows = torch.cat([values, top.values], 1), torch.cat([rows, top.indices + first], 1)
            values, kept = values.topk(min(each, values.shape[1]))
            rows = rows.gather(1, kept)
        each_row = torch.arange(start, start + len(some)).repeat_interleave(rows.shape[1])
        yield torch.stack([each_row, rows.ravel()], 1).numpy()
