"""What a 2D network looks at, at each of the T places of a clip: one frame, how the next ones differ, or flow.

Differences stand for motion (Wang et al., "Temporal Segment Networks", arXiv:1608.00859): of 6 consecutive frames, each
of the last 5 minus the one before it, in units of the whole range of a pixel, so within -1 .. 1, with no mean taken off
and no deviation divided by. Their 15 channels are red, green and blue of the first difference, then of the second, ...

Flow comes as clips of two planes, x and y (pipeline/clips/flow_store.py). The 10 channels of a place are x and y of the
first of 5 consecutive flows, then of the second, ...; mean and deviation are those of TSN's and TSM's repositories.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.layers.normalize import InputSpec

Kind = Literal["rgb", "rgb_difference", "flow"]
"""What the option `input` of a model may be."""
Takes = Literal["frames", "flow"]
"""What a clip may be of: `clip.input` of a model that sees."""
PLANES: dict[str, int] = {"frames": 3, "flow": 2}
"""Planes of a clip: red, green and blue, or x and y."""


@dataclass(frozen=True)
class FrameInput:
    """What a kind of input asks for."""

    consecutive: int
    """Frames, or flows, of a clip at each place."""
    channels: int
    """Channels of an image, which the first convolution takes."""
    pixels: InputSpec | None = None
    """How pixels must come, whatever weights the network starts from; None: as these expect."""
    takes: Takes = "frames"
    """What the clips are of."""

    def images(self, clip: Tensor) -> Tensor:
        """Clips (N, P, T x `consecutive`, H, W) -> the images of their places (N x T, `channels`, H, W).

        Raises:
            ValueError: the clip is cut into no such places.
        """
        frames = clip.shape[2]
        if frames % self.consecutive:
            raise ValueError(
                f"The clip has {frames} frames, but this network looks at {self.consecutive} consecutive ones at each "
                f"place. Draw clips with `consecutive: {self.consecutive}` in clip.sampler."
            )
        if self.consecutive == 1:
            return clip.transpose(1, 2).flatten(0, 1)
        places = clip.unflatten(2, (-1, self.consecutive))
        if self.takes == "frames":
            places = places[:, :, :, 1:] - places[:, :, :, :-1]  # (N, 3, T, 5, H, W)
        images: Tensor = places.permute(0, 2, 3, 1, 4, 5).flatten(0, 1).flatten(1, 2)
        return images


RGB = FrameInput(consecutive=1, channels=3)
RGB_DIFFERENCE = FrameInput(consecutive=6, channels=15, pixels=InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
FLOW = FrameInput(consecutive=5, channels=10, pixels=InputSpec(mean=(0.5, 0.5), std=(0.226, 0.226)), takes="flow")
KINDS: dict[Kind, FrameInput] = {"rgb": RGB, "rgb_difference": RGB_DIFFERENCE, "flow": FLOW}


def of(network: nn.Module) -> FrameInput:
    """What a network looks at; single frames, if it does not say."""
    found: FrameInput = getattr(network, "looks_at", RGB)
    return found
