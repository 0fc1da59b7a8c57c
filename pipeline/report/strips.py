"""Strips: a few small frames of a video, side by side in one JPEG, and as many of them as a budget of bytes allows."""

import base64

import numpy as np
import simplejpeg

from pipeline.clips import jpeg
from pipeline.clips.frame_store import FrameStore

FRAMES = 5
"""Number of frames in a strip."""
_WIDTH = 128
"""Least width of a shrunken frame in pixels; JPEG shrinks by simple fractions while it decodes."""
_QUALITY = 60


class Strips:
    """Strips of a page, each made once, until the next would take more than the budget.

    Args:
        store: where the frames come from.
        budget: most bytes of all strips, as they stand in the page.
    """

    def __init__(self, store: FrameStore, budget: int) -> None:
        self._store, self._left = store, budget
        self._made: dict[str, str] = {}
        self.full = False
        """Whether a strip has been left out for want of bytes; from then on, all others are."""

    def of(self, video: str) -> str | None:
        """The strip of a video as a data URL, empty where the store has no such video; None beyond the budget."""
        if video not in self._made:
            if self.full:
                return None
            made = strip(self._store, video)
            if len(made) > self._left:
                self.full = True
                return None
            self._left -= len(made)
            self._made[video] = made
        return self._made[video]


def strip(store: FrameStore, video: str) -> str:
    """`FRAMES` evenly spaced frames of a video as a data URL; empty where the store has no such video.

    Raises:
        UserError: a JPEG of the store does not decode.
    """
    if video not in store:
        return ""
    store, count = store.at(_WIDTH), store.frames(video)
    wanted = [(2 * i + 1) * count // (2 * FRAMES) for i in range(FRAMES)]
    frames = [_small(store, video, frame) for frame in store.read(video, wanted)]
    pixels = np.ascontiguousarray(np.concatenate(frames, axis=1))
    made = simplejpeg.encode_jpeg(pixels, quality=_QUALITY, colorsubsampling="420")
    return f"data:image/jpeg;base64,{base64.b64encode(made).decode()}"


def _small(store: FrameStore, video: str, frame: memoryview) -> np.ndarray:
    try:
        return jpeg.decode(frame, min_width=_WIDTH)
    except ValueError as error:
        raise store.damaged(video, error) from error
