"""What a 2D network looks at, at each of the T places of a clip: one frame, or how the next ones differ.

Differences stand for motion (Wang et al., "Temporal Segment Networks", arXiv:1608.00859): of 6 consecutive frames, each
of the last 5 minus the one before it, in units of the whole range of a pixel, so within -1 .. 1, with no mean taken off
and no deviation divided by. Their 15 channels are red, green and blue of the first difference, then of the second, ...
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.layers.normalize import InputSpec

Kind = Literal["rgb", "rgb_difference"]
"""What the option `input` of a model may be."""


@dataclass(frozen=True)
class FrameInput:
    """What a kind of input asks for."""

    consecutive: int
    """Frames of a clip at each place."""
    channels: int
    """Channels of an image, which the first convolution takes."""
    pixels: InputSpec | None = None
    """How pixels must come, whatever weights the network starts from; None: as these expect."""

    def images(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T x `consecutive`, H, W) -> the images of their places (N x T, `channels`, H, W).

        Raises:
            ValueError: the clip is cut into no such places.
        """
        frames = clip.shape[2]
        if frames % self.consecutive:
            raise ValueError(
                f"The clip has {frames} frames, but this network looks at differences among {self.consecutive} "
                f"consecutive ones. Draw clips with `consecutive: {self.consecutive}` in clip.sampler."
            )
        if self.consecutive == 1:
            return clip.transpose(1, 2).flatten(0, 1)
        places = clip.unflatten(2, (-1, self.consecutive))
        differences: Tensor = places[:, :, :, 1:] - places[:, :, :, :-1]  # (N, 3, T, 5, H, W)
        return differences.permute(0, 2, 3, 1, 4, 5).flatten(0, 1).flatten(1, 2)


RGB = FrameInput(consecutive=1, channels=3)
RGB_DIFFERENCE = FrameInput(consecutive=6, channels=15, pixels=InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
KINDS: dict[Kind, FrameInput] = {"rgb": RGB, "rgb_difference": RGB_DIFFERENCE}


def of(network: nn.Module) -> FrameInput:
    """What a network looks at; single frames, if it does not say."""
    found: FrameInput = getattr(network, "looks_at", RGB)
    return found
