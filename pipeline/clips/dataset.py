"""Datasets: manifest, frame store, sampler and transform -> the samples of a model.

A training sample is a function of (seed, epoch, video) alone, and a test sample of the video (with random crops, of
the seed and the view as well): neither the number of workers nor their order changes a pixel.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from pipeline.clips import flips, sampling, transforms, views
from pipeline.clips.frame_source import FrameSource, read_frames, sides_by_source
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.targets import Targets
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.clips.views import CROPS, Scale, View, ViewConfig, ViewGrid
from pipeline.core import params
from pipeline.core.manifest import Manifest
from pipeline.layers.frame_input import Takes


@dataclass(frozen=True)
class ClipConfig:
    """Section `models.<name>.clip` of params.yaml: which frames and pixels of a video a model gets."""

    hears: ClassVar = False
    """Whether the model gets the sound, and neither frame nor pixel."""
    sampler: SamplerConfig
    side: int
    """Short side of the centre view, in pixels; validation and protocol `clip` use it."""
    crop: int
    """Side of the square crop of the centre view, in pixels."""
    input: Literal[Takes, "sound"] = "frames"
    """What the model gets of a video; flow is computed by a stage, and the section of `sound` is another, below."""

    def __post_init__(self) -> None:
        crop, side = self.crop, self.side
        params.require(
            (1 <= crop <= side, f"a crop of {crop} pixels does not fit into a short side of {side}"),
            (self.input != "sound", "sound has seconds, and neither sampler, side nor crop"),
        )

    @property
    def centre(self) -> Scale:
        """The scale of the centre view."""
        return Scale(self.side, self.crop)

    def training(self, manifest: Manifest, store: FrameStore, augment: AugmentConfig, seed: int) -> "TrainDataset":
        """Random clips of videos, which have frames."""
        return TrainDataset(manifest, store, self.sampler, augment, seed)

    def centres(self, videos: Sequence[str], store: FrameSource) -> "MultiViewDataset":
        """The centre view alone of each video."""
        return MultiViewDataset(videos, store, self.sampler, views.of_one(View(1, 0, self.centre, "centre")))

    def grid(self, config: ViewConfig) -> ViewGrid:
        """The views of a video that is tested."""
        return views.grid(self.centre, config)

    def spec(self, grid: ViewGrid) -> "ViewSpec":
        """What `decoded` needs to know of the views of a grid."""
        return ViewSpec(self.sampler, grid)

    def decoded(self, items: Sequence[tuple[str, Sequence["ViewSpec"]]], source: FrameSource) -> "DecodedVideoDataset":
        """Videos for several models."""
        return DecodedVideoDataset(items, source)

    def size(self, crop: int) -> int:
        """Number of pixels of a view whose crop has sides of so many."""
        return self.sampler.length * crop * crop


class TrainDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random clips: item (epoch, position) is (clip uint8 (P, T, H, W), many-hot labels float32 (C,)).

    P is 3, or 2 of flow. A label that is not known is -1. `augment.flip` is what `flips.resolve` made of it.
    """

    def __init__(
        self, manifest: Manifest, store: FrameStore, sampler: SamplerConfig, augment: AugmentConfig, seed: int
    ) -> None:
        self.videos, self.targets = manifest.videos, Targets(manifest)
        assert augment.flip != "auto"  # half of the clips would be mirrored, whatever the classes are
        self.swapped = torch.tensor(flips.swapped(augment.flip, manifest.classes))
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
        store = self.store.at(transforms.asked_side(self.augment))
        frames = read_frames(store, video, indices, transforms.needed_side(self.augment))
        clip, mirrored = transforms.training_crop(frames, self.augment, rng, self.store.holds)
        labels = self.targets[position]
        return clip, labels[self.swapped] if mirrored else labels

    @staticmethod
    def collate(samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Samples -> clips uint8 (N, 3, T, H, W) and labels (N, C).

        The bytes of the clips keep their order, colours last: the device puts them into the network's.
        """
        clips = default_collate([clip.permute(1, 2, 3, 0) for clip, _ in samples]).permute(0, 4, 1, 2, 3)
        return clips, default_collate([labels for _, labels in samples])


@dataclass(frozen=True)
class ViewSpec:
    """The views of a video that a model is tested on: how its clips are sampled, and the grid of views."""

    sampler: SamplerConfig
    grid: ViewGrid


class Crop(Protocol):
    """A view in a decoded video."""

    @property
    def size(self) -> int:
        """Views of one size can share a batch."""

    def pixels(self, frames: Mapping[int, Tensor]) -> Tensor:
        """The view, cut out of `DecodedVideo.frames`."""


@dataclass(frozen=True)
class ClipCrop:
    """The pixels of one view in a decoded video. Views with equal ones are the same, whatever they are called."""

    side: int
    """Short side that the frames are resized to, in pixels."""
    positions: tuple[int, ...]
    """The clip's T frames, as positions in `DecodedVideo.frames[side]`."""
    box: Box

    @property
    def size(self) -> int:
        """Side of the crop: views of one size can share a batch."""
        return self.box.width

    def pixels(self, frames: Mapping[int, Tensor]) -> Tensor:
        """The view as uint8 (3, T, size, size), cut out of `DecodedVideo.frames`."""
        cropped = transforms.crop(frames[self.side], self.box)
        chosen = torch.tensor(self.positions).to(cropped.device, non_blocking=True)  # a list would wait for a GPU
        return cropped[chosen].transpose(0, 1).contiguous()


@dataclass(frozen=True)
class DecodedVideo:
    """A decoded video, resized to every scale, and where its views lie in it.

    This is what loaders hand over: views overlap, so the frames are many times smaller than all views. Sound comes in
    the same way (sound_dataset.py).
    """

    frames: dict[int, Tensor]
    """Short side -> uint8 (F, 3, H, W): the frames that some view needs at this scale, in order. Of a sound, samples a
    second -> int16 (S,)."""
    crops: tuple[tuple[Crop, ...], ...]
    """For each ViewSpec, one crop a view, in the order of its grid."""

    def pin_memory(self) -> "DecodedVideo":
        """Copy the frames to pinned memory, as the loader asks where there is a GPU."""
        return DecodedVideo({side: frames.pin_memory() for side, frames in self.frames.items()}, self.crops)

    def to(self, device: torch.device) -> "DecodedVideo":
        """Copy the frames to a device."""
        moved = {side: frames.to(device, non_blocking=True) for side, frames in self.frames.items()}
        return DecodedVideo(moved, self.crops)


def decode_video(source: FrameSource, video: str, specs: Sequence[ViewSpec]) -> DecodedVideo:
    """Read a video for several models at once: every frame that any view needs is decoded once at each stored size.

    Raises:
        UserError: a frame does not decode.
    """
    clips = clips_of_views(specs, source.frames(video))
    at_side = _at_sides(source, video, clips.needed)
    sizes = {side: (frames.shape[-2], frames.shape[-1]) for side, frames in at_side.items()}
    return DecodedVideo(at_side, clips.crops(video, specs, sizes))


@dataclass(frozen=True)
class ClipsOfViews:
    """The frames of a video that the views of several models show."""

    indices: list[list[np.ndarray]]
    """For each ViewSpec, the frames (T,) of each view."""
    needed: dict[int, np.ndarray]
    """Short side -> the frames (F,) that some view needs at this scale, in order."""

    def crops(
        self, video: str, specs: Sequence[ViewSpec], sizes: Mapping[int, tuple[int, int]]
    ) -> tuple[tuple[ClipCrop, ...], ...]:
        """Where the views lie in the frames of the video, of which `sizes` has height and width at each short side."""

        def crop_of(number: int, view: View, clip: np.ndarray, seed: int) -> ClipCrop:
            positions = tuple(np.searchsorted(self.needed[view.scale.side], clip).tolist())
            box = _box(view, *sizes[view.scale.side], generator(seed, number, video))
            return ClipCrop(view.scale.side, positions, box)

        return tuple(
            tuple(crop_of(k, view, clips[k], spec.grid.seed) for k, view in enumerate(spec.grid.seen))
            for spec, clips in zip(specs, self.indices, strict=True)
        )


def clips_of_views(specs: Sequence[ViewSpec], count: int) -> ClipsOfViews:
    """The frames that the views of several models show of a video of `count` frames."""
    indices = [_frames_of_views(spec, count) for spec in specs]
    wanted: dict[int, list[np.ndarray]] = {}
    for spec, clips in zip(specs, indices, strict=True):
        for view, clip in zip(spec.grid.seen, clips, strict=True):
            wanted.setdefault(view.scale.side, []).append(clip)
    return ClipsOfViews(indices, {side: np.unique(np.concatenate(clips)) for side, clips in wanted.items()})


def _at_sides(source: FrameSource, video: str, needed: Mapping[int, np.ndarray]) -> dict[int, Tensor]:
    """Short side -> the `needed` frames (F,) resized to it, uint8 (F, 3, H, W)."""
    found: dict[int, Tensor] = {}
    for stored, sides in sides_by_source(source, needed).items():
        every = np.unique(np.concatenate([needed[side] for side in sides]))
        frames = read_frames(stored, video, every, at_least=None)  # all pixels, or one view would depend on others
        found |= {s: transforms.resize_short_side(frames[np.searchsorted(every, needed[s])], s) for s in sides}
    return found


def _frames_of_views(spec: ViewSpec, count: int) -> list[np.ndarray]:
    """Frame indices (T,) of every view of a grid, in a video of `count` frames."""
    clips = {n: sampling.testing_clips(spec.sampler, count, n) for n in {view.clips for view in spec.grid.seen}}
    return [clips[view.clips][view.clip] for view in spec.grid.seen]


def _box(view: View, height: int, width: int, rng: np.random.Generator) -> Box:
    size = view.scale.crop
    if view.crop in CROPS["fixed"]:
        return transforms.crop_box(height, width, size, view.crop)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return Box(int(top), int(left), size, size)


class DecodedVideoDataset(Dataset[DecodedVideo]):
    """Videos for several models: item i is `decode_video` of pair i of (video, specs)."""

    def __init__(self, items: Sequence[tuple[str, Sequence[ViewSpec]]], source: FrameSource) -> None:
        self.items, self.source = items, source

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.items)

    def __getitem__(self, position: int) -> DecodedVideo:
        """One video."""
        return decode_video(self.source, *self.items[position])


class MultiViewDataset(Dataset[dict[int, Tensor]]):
    """All views of a video: item i is {crop side: uint8 (views of that size, 3, T, H, W)}, in the grid's order."""

    def __init__(self, videos: Sequence[str], store: FrameSource, sampler: SamplerConfig, grid: ViewGrid) -> None:
        self.videos, self.store, self.spec = videos, store, ViewSpec(sampler, grid)

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, position: int) -> dict[int, Tensor]:
        """The views of one video."""
        decoded = decode_video(self.store, self.videos[position], [self.spec])
        (crops,) = decoded.crops
        groups = group_by_size(crops).items()
        return {size: torch.stack([crops[k].pixels(decoded.frames) for k in ks]) for size, ks in groups}


def group_by_size(crops: Sequence[Crop]) -> dict[int, list[int]]:
    """Size of the crop -> the positions in `crops` of those that have it, which can share a batch."""
    groups: dict[int, list[int]] = {}
    for position, crop in enumerate(crops):
        groups.setdefault(crop.size, []).append(position)
    return groups


def generator(seed: int, number: int, video: str) -> np.random.Generator:
    """The random numbers of a video in epoch `number`, or of its view `number`."""
    name = int.from_bytes(hashlib.blake2b(video.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng([seed, number, name])
