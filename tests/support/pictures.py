"""Frames that lie in memory: smooth pictures with the halved colours of FFmpeg's, and a grid of views of them."""

from collections.abc import Sequence

import numpy as np
import simplejpeg
import torch
from torch.nn import functional

from pipeline.clips import views
from pipeline.clips.dataset import ViewSpec
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core.errors import UserError

SPEC = ViewSpec(
    SamplerConfig("segments", 3),
    views.grid(Scale(64, 56), ViewConfig(clips=2, sides=(64, 96), crop=56, crops="random")),
)
"""Views of two scales at random places."""


class Frames:
    """A FrameSource of one size, each video of it the same."""

    holds = "frames"

    def __init__(self, frames: int, height: int, width: int) -> None:
        coarse = torch.rand(frames, 3, height // 32, width // 32, generator=torch.Generator().manual_seed(0))
        smooth = functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
        pictures = (255 * smooth).byte().permute(0, 2, 3, 1).contiguous().numpy()
        self.jpegs = [encoded(picture) for picture in pictures]

    def at(self, side: int) -> "Frames":
        """Itself."""
        return self

    def frames(self, video: str) -> int:
        """The number of frames."""
        return len(self.jpegs)

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:
        """The JPEGs of some frames."""
        return [memoryview(self.jpegs[index]) for index in indices]

    def damaged(self, video: str, why: object) -> UserError:
        """The error for a JPEG that does not decode."""
        return UserError(f"shard of {video}: {why}")


def encoded(picture: np.ndarray) -> bytes:
    """The JPEG of a picture (H, W, 3), its colours at half the size."""
    jpeg: bytes = simplejpeg.encode_jpeg(picture, 92, colorsubsampling="420")
    return jpeg
