"""Samples for a model: manifest + store + sampler + transform.

A training sample is a function of (seed, epoch, video) alone, and a testing sample of the video (with random crops, of
the seed and the view as well): neither the number of workers nor their order changes a pixel.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.clips import sampling, transforms
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.clips.views import CROPS, Scale, View, ViewGrid
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest


class Frames(Protocol):
    """Where the JPEGs of videos come from: a FrameStore, or the frames of new videos."""

    def frames(self, video: str) -> int:
        """The number of frames of a video."""

    def read(self, video: str, indices: Sequence[int]) -> Sequence[memoryview]:
        """The JPEGs of some frames, counted from 0, in the order asked for."""

    def damaged(self, video: str, why: object) -> UserError:
        """The error for a JPEG that does not decode."""


@dataclass(frozen=True)
class ClipConfig:
    """Section `models.<name>.clip` of params.yaml: what a model sees of a video."""

    sampler: SamplerConfig
    side: int
    """Short side of the centre view, in pixels: validation, and protocol `clip`."""
    crop: int
    """Side of its square crop, in pixels."""

    def __post_init__(self) -> None:
        fits = 1 <= self.crop <= self.side
        params.require((fits, f"a crop of {self.crop} pixels does not fit into a short side of {self.side}"))

    @property
    def centre(self) -> Scale:
        """The scale of the centre view."""
        return Scale(self.side, self.crop)


class TrainingClips(Dataset[tuple[Tensor, Tensor]]):
    """Random clips: item (epoch, position) is (clip uint8 (3, T, H, W), many-hot labels float32 (C,))."""

    def __init__(
        self, manifest: Manifest, store: FrameStore, sampler: SamplerConfig, augment: AugmentConfig, seed: int
    ) -> None:
        self.videos = manifest.videos
        self.targets = torch.from_numpy(manifest.targets()).float()
        self.store, self.sampler, self.augment, self.seed = store, sampler, augment, seed

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """One clip of one epoch."""
        epoch, position = key
        video = self.videos[position]
        rng = generator(self.seed, epoch, video)
        indices = sampling.training_clip(self.sampler, self.store.frames(video), rng)
        frames = read_frames(self.store, video, indices, transforms.needed_side(self.augment))
        return transforms.training_crop(frames, self.augment, rng), self.targets[position]


@dataclass(frozen=True)
class Look:
    """How a model looks at a video: what a clip is, and which views there are."""

    sampler: SamplerConfig
    grid: ViewGrid


@dataclass(frozen=True)
class Cut:
    """The pixels of one view. Equal cuts of a video show the same, whatever their clips and crops are called."""

    side: int
    """Short side that the frames are resized to."""
    rows: tuple[int, ...]
    """The clip's frames, as positions in `SeenVideo.frames[side]`."""
    box: Box

    def of(self, frames: Mapping[int, Tensor]) -> Tensor:
        """The view: uint8 (3, T, size, size)."""
        top, left, bottom, right = (
            self.box.top,
            self.box.left,
            self.box.top + self.box.height,
            self.box.left + self.box.width,
        )
        return frames[self.side][list(self.rows), :, top:bottom, left:right].transpose(0, 1).contiguous()


@dataclass(frozen=True)
class SeenVideo:
    """A decoded video, resized for every scale, and where its views lie in it.

    Views overlap, so that this is many times smaller than they are: it is what loaders hand over.
    """

    frames: dict[int, Tensor]
    """Short side -> uint8 (F, 3, H, W): the frames that some view needs at this scale, in order."""
    cuts: tuple[tuple[Cut, ...], ...]
    """For each look, one cut a view, in the order of its grid."""

    def pin_memory(self) -> "SeenVideo":
        """Called by the loader where there is a GPU."""
        return SeenVideo({side: frames.pin_memory() for side, frames in self.frames.items()}, self.cuts)

    def to(self, device: torch.device) -> "SeenVideo":
        """The same on a device."""
        moved = {side: frames.to(device, non_blocking=True) for side, frames in self.frames.items()}
        return SeenVideo(moved, self.cuts)


def see(source: Frames, video: str, looks: Sequence[Look]) -> SeenVideo:
    """Read a video for several models at once: every frame that any view needs is read and decoded once.

    Raises:
        UserError: a frame does not decode.
    """
    count = source.frames(video)
    indices = [_frames_of_views(look, count) for look in looks]
    wanted: dict[int, list[np.ndarray]] = {}
    for look, clips in zip(looks, indices, strict=True):
        for view, clip in zip(look.grid.views, clips, strict=True):
            wanted.setdefault(view.scale.side, []).append(clip)
    needed = {side: np.unique(np.concatenate(clips)) for side, clips in wanted.items()}
    every = np.unique(np.concatenate(list(needed.values())))
    frames = read_frames(source, video, every, at_least=None)  # in full, or one view would depend on others
    at_side = {
        side: transforms.resize_short_side(frames[np.searchsorted(every, some)], side) for side, some in needed.items()
    }

    def cut(number: int, view: View, clip: np.ndarray, seed: int) -> Cut:
        height, width = at_side[view.scale.side].shape[-2:]
        rows = tuple(np.searchsorted(needed[view.scale.side], clip).tolist())
        return Cut(view.scale.side, rows, _box(view, height, width, generator(seed, number, video)))

    cuts = tuple(
        tuple(cut(k, view, clips[k], look.grid.seed) for k, view in enumerate(look.grid.views))
        for look, clips in zip(looks, indices, strict=True)
    )
    return SeenVideo(at_side, cuts)


def _frames_of_views(look: Look, count: int) -> list[np.ndarray]:
    """Frame indices (T,) of every view of a grid."""
    numbers = {view.clips for view in look.grid.views}
    clips = {number: sampling.testing_clips(look.sampler, count, number) for number in numbers}
    return [clips[view.clips][view.clip] for view in look.grid.views]


def _box(view: View, height: int, width: int, rng: np.random.Generator) -> Box:
    size = view.scale.crop
    if view.crop in CROPS["fixed"]:
        return transforms.crop_box(height, width, size, view.crop)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return Box(int(top), int(left), size, size)


class SeenVideos(Dataset[SeenVideo]):
    """Videos for several models: item i is `see` of (video, looks) number i."""

    def __init__(self, items: Sequence[tuple[str, Sequence[Look]]], source: Frames) -> None:
        self.items, self.source = items, source

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.items)

    def __getitem__(self, position: int) -> SeenVideo:
        """One video."""
        return see(self.source, *self.items[position])


class VideoViews(Dataset[dict[int, Tensor]]):
    """All views of a video: item i is {crop side: uint8 (views of that size, 3, T, H, W)}, in the grid's order."""

    def __init__(self, videos: Sequence[str], store: Frames, sampler: SamplerConfig, grid: ViewGrid) -> None:
        self.videos, self.store, self.look = videos, store, Look(sampler, grid)

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, position: int) -> dict[int, Tensor]:
        """The views of one video."""
        seen = see(self.store, self.videos[position], [self.look])
        (cuts,) = seen.cuts
        return {size: torch.stack([cuts[k].of(seen.frames) for k in ks]) for size, ks in by_size(cuts).items()}


def by_size(cuts: Sequence[Cut]) -> dict[int, list[int]]:
    """The positions of the views that share a crop size, and so a batch."""
    groups: dict[int, list[int]] = {}
    for position, cut in enumerate(cuts):
        groups.setdefault(cut.box.width, []).append(position)
    return groups


def read_frames(store: Frames, video: str, indices: Sequence[int] | np.ndarray, at_least: int | None) -> Tensor:
    """Some frames of a video as uint8 (T, 3, H, W).

    Raises:
        UserError: a stored frame does not decode; names the shard.
    """
    jpegs = store.read(video, [int(index) for index in indices])
    try:
        return transforms.decode(jpegs, at_least)
    except ValueError as error:
        raise store.damaged(video, error) from error


def generator(seed: int, number: int, video: str) -> np.random.Generator:
    """The random numbers of one video in one epoch, or of one view of it."""
    name = int.from_bytes(hashlib.blake2b(video.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng([seed, number, name])
