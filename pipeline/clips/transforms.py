"""JPEGs -> the pixels of a clip: decoding, the random crops of training, and the fixed crops of testing.

Pixels stay uint8, and in memory the three colours of each together, as the decoder writes them and the resizing reads
them, until they reach the device, where layers/normalize.py makes the float clip of a model. All frames of a clip share
every random draw.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import Video

from pipeline.clips import flips, jpeg
from pipeline.core import params
from pipeline.core.manifest import Flip
from pipeline.layers.frame_input import Takes

PLACES = {"left": 0.0, "centre": 0.5, "right": 1.0}
"""Place of a test crop -> where it lies on the longer side of a frame, 0 (left or top) .. 1 (right or bottom)."""
SNAP = 2
"""Pixels by which a jittered side may differ from the crop and is set to it, which saves resampling by a few pixels."""


@dataclass(frozen=True)
class RandAugmentConfig:
    """Settings of torchvision's RandAugment (arXiv:1909.13719)."""

    ops: int
    """Number of operations that each clip undergoes, at least 1."""
    magnitude: int
    """Strength of every operation, 0 (none) .. 30."""

    def __post_init__(self) -> None:
        if self.ops < 1 or not 0 <= self.magnitude <= 30:
            raise ValueError("rand_augment needs ops of at least 1 and a magnitude in 0..30")


@dataclass(frozen=True)
class AugmentConfig:
    """Section `models.<name>.train.augment` of params.yaml: how a training crop is drawn.

    `scale_jitter` (TSN, arXiv:1608.00859): a crop of the stored frame whose height and width are `ratios` of its
    short side, at most one step apart, at one of 13 places; resized to the square.
    `random_side` (SlowFast, arXiv:1812.03982): the short side resized to a random length within `sides`, then a random
    square crop.
    """

    kind: Literal["scale_jitter", "random_side"]
    """Rule by which a crop is drawn: that of TSN, or that of SlowFast."""
    crop: int
    """Side of the square that the model gets, in pixels."""
    ratios: tuple[float, ...] = ()
    """Sides of the crops of `scale_jitter`, as shares of the short side, above 0 and at most 1; else empty."""
    sides: tuple[int, ...] = ()
    """Shortest and longest short side of `random_side`, in pixels; empty for `scale_jitter`."""
    flip: Flip = True
    """Whether half of the clips are mirrored; as conf/ has it what `dataset.flip` says, which explains the values."""
    rand_augment: RandAugmentConfig | None = None
    """Colour and shape changes after crop and flip, the same for all frames of a clip; null for none."""

    def __post_init__(self) -> None:
        shares = bool(self.ratios) and all(0 < ratio <= 1 for ratio in self.ratios)
        lengths = len(self.sides) == 2 and self.crop <= self.sides[0] <= self.sides[1]
        params.require(
            (self.crop >= 1, f"crop must be 1 pixel or more, not {self.crop}"),
            (
                self.kind != "scale_jitter" or shares,
                "scale_jitter needs ratios of the short side, e.g. [1, 0.875, 0.75, 0.66]",
            ),
            (
                self.kind != "random_side" or lengths,
                "random_side needs sides: [shortest, longest], neither below the crop",
            ),
            flips.rule(self.flip),
        )


@dataclass(frozen=True)
class Box:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


def decode(jpegs: Sequence[memoryview], at_least: int | None = None, holds: Takes = "frames") -> Tensor:
    """Decode frames of one size to uint8 (T, 3, H, W), RGB; or flows, two JPEGs each, to (T, 2, H, W), x and y.

    Args:
        at_least: pixels that the short side needs; libjpeg then decodes to the smallest of its scales that has them,
            which is quicker than decoding all pixels and resizing them. None decodes all pixels.
        holds: what the JPEGs are of.

    Raises:
        ValueError: a frame is no JPEG, or two differ in size.
    """
    if holds == "flow":
        planes = torch.from_numpy(jpeg.decode_all(jpegs, at_least or 0, "GRAY")[..., 0])  # (2T, H, W)
        return planes.view(-1, 2, *planes.shape[1:])
    return torch.from_numpy(jpeg.decode_all(jpegs, at_least or 0)).permute(0, 3, 1, 2)


def training_crop(
    frames: Tensor, config: AugmentConfig, rng: np.random.Generator, holds: Takes = "frames"
) -> tuple[Tensor, bool]:
    """Frames uint8 (T, P, H, W) -> a clip uint8 (P, T, crop, crop), randomly cropped, flipped and augmented.

    The values of flow stay as they are when it is resized, as in the repositories whose weights there are.

    Returns:
        the clip, and whether it is mirrored.
    """
    draw = _scale_jitter if config.kind == "scale_jitter" else _random_side
    cropped = draw(frames, config, rng)
    mirrored = bool(config.flip) and rng.random() < 0.5
    if mirrored:
        cropped = mirrored_flow(cropped) if holds == "flow" else F.horizontal_flip(cropped)
    if config.rand_augment is not None:
        cropped = _rand_augment(cropped, config.rand_augment, rng)
    return cropped.contiguous(memory_format=torch.channels_last).transpose(0, 1), mirrored


def mirrored_flow(flow: Tensor) -> Tensor:
    """The mirror image of flow uint8 (T, 2, H, W), in which what went to the right goes to the left."""
    turned: Tensor = F.horizontal_flip(flow)
    turned[:, 0] = (256 - turned[:, 0].to(torch.int16)).clamp(max=255)  # about 128, which is no motion
    return turned


def resize_short_side(frames: Tensor, side: int) -> Tensor:
    """Resize frames uint8 (T, 3, H, W) to a short side of `side` pixels, the longer one rounded down.

    The filter is bilinear and antialiased.
    """
    height, width = frames.shape[-2:]
    return _resize(frames, list(resized(height, width, side)))


def resized(height: int, width: int, side: int) -> tuple[int, int]:
    """The height and width of frames that `resize_short_side` resizes."""
    short = min(height, width)
    return height * side // short, width * side // short


def crop_box(height: int, width: int, size: int, place: str) -> Box:
    """The square of `size` pixels at a place of `PLACES` along the longer side of a frame, centred on the shorter side.

    Offsets are rounded down. In an upright frame left is the top and right the bottom.
    """
    fraction = PLACES[place]
    top, left = (height - size) // 2, (width - size) // 2
    if height > width:
        top = int((height - size) * fraction)
    else:
        left = int((width - size) * fraction)
    return Box(top, left, size, size)


def crop(frames: Tensor, box: Box) -> Tensor:
    """Cut a box out of frames (..., H, W); the result shares their memory."""
    return frames[..., box.top : box.top + box.height, box.left : box.left + box.width]


def asked_side(config: AugmentConfig) -> int:
    """The short side in pixels that training asks of stored frames (short_sides.py), so that no crop is enlarged."""
    if config.kind == "random_side":
        return max(config.sides)
    return next(side for side in itertools.count(config.crop) if int(side * min(config.ratios)) >= config.crop)


def needed_side(config: AugmentConfig) -> int | None:
    """The short side in pixels at which frames must at least be decoded; None where all pixels are needed."""
    return asked_side(config) if config.kind == "random_side" else None


def _scale_jitter(frames: Tensor, config: AugmentConfig, rng: np.random.Generator) -> Tensor:
    height, width = frames.shape[-2:]
    short = min(height, width)
    sides = [int(short * ratio) for ratio in config.ratios]
    sides = [min(config.crop, short) if abs(side - config.crop) <= SNAP else side for side in sides]
    steps = range(len(sides))
    pairs = [(sides[i], sides[j]) for i in steps for j in steps if abs(i - j) <= 1]
    crop_height, crop_width = pairs[rng.integers(len(pairs))]
    down, across = (height - crop_height) // 4, (width - crop_width) // 4
    row, column = JITTER_PLACES[rng.integers(len(JITTER_PLACES))]
    box = Box(row * down, column * across, crop_height, crop_width)
    return _resize(crop(frames, box), [config.crop, config.crop])


JITTER_PLACES = (
    *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),  # corners and centre
    *((2, 0), (2, 4), (4, 2), (0, 2)),  # middles of the edges
    *((1, 1), (1, 3), (3, 1), (3, 3)),  # half-way to the corners
)
"""Row and column of a jittered crop, in quarters of the room that it has."""


def _random_side(frames: Tensor, config: AugmentConfig, rng: np.random.Generator) -> Tensor:
    shortest, longest = config.sides
    resized = resize_short_side(frames, int(rng.integers(shortest, longest + 1)))
    height, width = resized.shape[-2:]
    top, left = rng.integers(height - config.crop + 1), rng.integers(width - config.crop + 1)
    return crop(resized, Box(int(top), int(left), config.crop, config.crop))


def _rand_augment(frames: Tensor, config: RandAugmentConfig, rng: np.random.Generator) -> Tensor:
    augment = RandAugment(config.ops, config.magnitude, interpolation=InterpolationMode.BILINEAR)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's hidden state
        torch.manual_seed(int(rng.integers(2**62)))
        augmented: Tensor = augment(Video(frames)).as_subclass(Tensor)
        return augmented


def _resize(frames: Tensor, size: list[int]) -> Tensor:
    if list(frames.shape[-2:]) == size:
        return frames
    resized: Tensor = F.resize(frames, size, interpolation=InterpolationMode.BILINEAR, antialias=True)
    return resized
