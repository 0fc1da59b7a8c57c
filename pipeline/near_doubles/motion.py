"""What moves in a video, small enough to compare every video with every other.

The frames of a few seconds around a video's middle are shrunk to 16 x 16 grey pixels, and their mean picture is taken
away. What one fixed camera shows in all its clips goes with it, and so does a logo; what is left is when and where
something moved, which another size, bit rate, brightness or frame rate hardly changes.
"""

import numpy as np

from pipeline.clips import jpeg
from pipeline.clips.frame_store import FrameStore

SIDE = 16
"""Rows and columns of a shrunken frame."""
RATE = 10
"""Frames a second that are looked at."""
MOST = 6 * RATE
"""Most frames of a video that are looked at."""
FEWEST = 4
"""Fewest frames that two videos are compared by."""
STILL = 0.5
"""Mean change of grey, of 255, below which a video is still: what changes may be noise, and tells nothing."""
SHIFT = RATE // 2
"""Most frames by which the middle of a copy may lie elsewhere, as when a second was cut off at one end."""
OVERLAP = 0.6
"""Least share of the shorter video that must lie within the other one."""
PARTS = 4
"""Parts of a video in an outline."""
OUTLINE = PARTS * SIDE * SIDE // 4
"""Numbers in an outline."""


def frames(store: FrameStore, video: str, fps: int) -> np.ndarray:
    """The shrunken frames around the middle of a video, uint8 (T, 256), T at most `MOST`.

    Args:
        fps: frames a second of the store.

    Raises:
        UserError: the store lacks the video, or a JPEG of it is damaged.
    """
    store, step = store.at(SIDE), max(1, round(fps / RATE))
    indices = range(0, store.frames(video), step)
    before = max(0, len(indices) - MOST) // 2
    try:
        shrunk = [_shrunk(jpeg.decode(data, SIDE, SIDE)) for data in store.read(video, indices[before:][:MOST])]
    except ValueError as error:
        raise store.damaged(video, error) from error
    return np.rint(shrunk).astype(np.uint8)


def is_still(shrunk: np.ndarray) -> bool:
    """Whether too little moves, or for too short a time, to tell the video from another one."""
    return len(shrunk) < FEWEST or float(_moving(_level(shrunk)).std()) < STILL


def outline(shrunk: np.ndarray) -> np.ndarray:
    """What moves, coarse, of length 1: 8 x 8 pixels in a few parts of the time, float32 (256,)."""
    level = _level(shrunk).reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)).reshape(len(shrunk), -1)
    parts = _moving(np.stack([part.mean(axis=0) for part in np.array_split(level, PARTS)])).ravel()
    outline: np.ndarray = parts / max(float(np.linalg.norm(parts)), np.finfo(np.float32).tiny)
    return outline


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of what moves in two videos, -1..1, at the shift in time where it is highest.

    It is 1 for the same frames, and about 0 for what has nothing in common. Both are `frames` of no still video.
    """
    one, other = _level(one), _level(other)
    least = max(FEWEST, OVERLAP * min(len(one), len(other)))
    middle, best = (len(one) - len(other)) // 2, -1.0
    for shift in range(middle - SHIFT, middle + SHIFT + 1):
        a, b = one[max(shift, 0) :], other[max(-shift, 0) :]
        common = min(len(a), len(b))
        if common >= least:
            a, b = _moving(a[:common]), _moving(b[:common])
            size = float(np.linalg.norm(a) * np.linalg.norm(b))
            best = max(best, float(np.vdot(a, b)) / size if size else 0.0)
    return best


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """The means of the cells of a grid over an RGB frame, in grey (256,); a smaller one has pixels in several cells."""
    grey = pixels.mean(axis=2)
    rows, columns = (np.arange(SIDE) * size // SIDE for size in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    tall, wide = (np.diff([*ends, size]).clip(1) for ends, size in zip((rows, columns), grey.shape, strict=True))
    means: np.ndarray = (sums / np.outer(tall, wide)).ravel()
    return means


def _level(shrunk: np.ndarray) -> np.ndarray:
    """Frames without their mean brightness, float32 (T, 256): one that flickers or fades moves nothing."""
    level = shrunk.astype(np.float32)
    level -= level.mean(axis=1, keepdims=True)
    return level


def _moving(level: np.ndarray) -> np.ndarray:
    """Frames without their mean picture."""
    moving: np.ndarray = level - level.mean(axis=0)
    return moving
