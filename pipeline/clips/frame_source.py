"""Where datasets get the frames of videos from."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor

from pipeline.clips import transforms
from pipeline.core import faults
from pipeline.core.errors import UserError
from pipeline.layers.frame_input import Takes


class FrameSource(Protocol):
    """Source of the JPEGs of videos: a FrameStore or FlowStore, or those of new videos."""

    holds: ClassVar[Takes]
    """Whether they are frames, or flow: then two JPEGs, x and y, where one of a frame is meant."""

    def at(self, side: int) -> "FrameSource":
        """The frames for who shows them at a short side of `side` pixels; of equal sizes, the same object."""

    def frames(self, video: str) -> int:
        """The number of frames of a video."""

    def read(self, video: str, indices: Sequence[int]) -> Sequence[memoryview]:
        """The JPEGs of some frames, counted from 0, in the order asked for."""

    def damaged(self, video: str, why: object) -> UserError:
        """The error for a JPEG that does not decode."""


def sides_by_source(source: FrameSource, sides: Iterable[int]) -> dict[FrameSource, list[int]]:
    """The frames of each stored size that is read for these short sides -> the short sides."""
    found: dict[FrameSource, list[int]] = {}
    for side in sides:
        found.setdefault(source.at(side), []).append(side)
    return found


def read_frames(store: FrameSource, video: str, indices: Sequence[int] | np.ndarray, at_least: int | None) -> Tensor:
    """Read and decode some frames of a video as uint8 (T, P, H, W); `at_least` is that of `transforms.decode`.

    Raises:
        UserError: a stored frame does not decode; the message names the shard.
    """
    jpegs = store.read(video, [int(index) for index in indices])
    try:
        return transforms.decode(jpegs, at_least, store.holds)
    except ValueError as error:
        if faults.told(error) is not None:  # the decoder's word for too little memory
            raise
        raise store.damaged(video, error) from error
