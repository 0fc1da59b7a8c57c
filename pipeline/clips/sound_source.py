"""Where datasets get the sound of videos from."""

from typing import Protocol

import numpy as np


class SoundSource(Protocol):
    """Source of the sound of videos: a SoundStore, or the sound of new videos."""

    def samples(self, video: str) -> int:
        """The number of samples of a video, at least 1; `sound_store.RATE` make a second."""

    def read(self, video: str, start: int = 0, count: int | None = None) -> np.ndarray:
        """Samples of a video from `start` on, int16 (count,); all that follow without `count`."""
