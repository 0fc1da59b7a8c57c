"""Datasets of sound: manifest and sound store -> the samples of a model that hears.

A clip is a window of the sound: a random one in training, the centre or evenly spaced ones in testing. A sound that is
shorter than a window begins again, as a short video does (sampling.py); one that is no longer is taken whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from pipeline.clips import views
from pipeline.clips.dataset import DecodedVideo, generator
from pipeline.clips.sound_source import SoundSource
from pipeline.clips.sound_store import RATE
from pipeline.clips.targets import Targets
from pipeline.clips.views import ViewConfig, ViewGrid, Window
from pipeline.core import params
from pipeline.core.manifest import Manifest


@dataclass(frozen=True)
class SoundClipConfig:
    """Section `models.<name>.clip` of params.yaml of a model that hears."""

    hears: ClassVar = True
    """Whether the model gets the sound, and neither frame nor pixel."""
    input: Literal["sound"]
    """What the model gets of a video; a section without this word is of a model that sees frames."""
    seconds: float
    """Length of a window in seconds."""

    def __post_init__(self) -> None:
        params.require((0.1 <= self.seconds <= 60, f"seconds must lie in 0.1 .. 60, not {self.seconds:g}"))

    @property
    def samples(self) -> int:
        """Number of samples of a window."""
        return round(self.seconds * RATE)

    def training(
        self,
        manifest: Manifest,
        store: SoundSource,
        augment: None,  # noqa: ARG002 - that of frames
        seed: int,
    ) -> "SoundTrainDataset":
        """Random windows of videos, all of which have sound."""
        return SoundTrainDataset(manifest, store, self.samples, seed)

    def centres(self, videos: Sequence[str], store: SoundSource) -> "CentreDataset":
        """The centre window alone of each video."""
        return CentreDataset(videos, store, self.samples)

    def grid(self, config: ViewConfig) -> ViewGrid:
        """The windows of a video that is tested."""
        return views.windows(config)

    def spec(self, grid: ViewGrid) -> "WindowSpec":
        """What `decoded` needs to know of the windows of a grid."""
        return WindowSpec(self.samples, grid)

    def decoded(self, items: Sequence[tuple[str, Sequence["WindowSpec"]]], source: SoundSource) -> "HeardDataset":
        """Videos for several models."""
        return HeardDataset(items, source)

    def size(self, samples: int) -> int:
        """Number of samples of a view."""
        return samples


class SoundTrainDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random windows: item (epoch, position) is (sound int16 (S,), many-hot labels float32 (C,)).

    A label that is not known is -1. An item is a function of (seed, epoch, video) alone.
    """

    collate = staticmethod(default_collate)

    def __init__(self, manifest: Manifest, store: SoundSource, samples: int, seed: int) -> None:
        self.videos, self.targets = manifest.videos, Targets(manifest)
        self.store, self.samples, self.seed = store, samples, seed

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """One window of one epoch."""
        epoch, position = key
        video = self.videos[position]
        rng = generator(self.seed, epoch, video)
        start = int(rng.integers(max(1, 1 + self.store.samples(video) - self.samples)))
        return window(self.store, video, start, self.samples), self.targets[position]


class CentreDataset(Dataset[dict[int, Tensor]]):
    """The centre window of each video: item i is {S: int16 (1, S)}."""

    def __init__(self, videos: Sequence[str], store: SoundSource, samples: int) -> None:
        self.videos, self.store, self.samples = videos, store, samples

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, position: int) -> dict[int, Tensor]:
        """The window of one video."""
        video = self.videos[position]
        start = start_of(Window(1, 0), self.store.samples(video), self.samples)
        return {self.samples: window(self.store, video, start, self.samples)[None]}


@dataclass(frozen=True)
class WindowSpec:
    """The windows of a video that a model is tested on: their number of samples, and the grid of views."""

    samples: int
    grid: ViewGrid

    @property
    def views(self) -> tuple[Window, ...]:
        """The windows of the grid, which holds nothing else."""
        return cast(tuple[Window, ...], self.grid.views)


@dataclass(frozen=True)
class WindowCrop:
    """The samples of one view in the sound of a video."""

    start: int
    size: int
    """Number of samples; views of one size can share a batch."""

    def pixels(self, frames: Mapping[int, Tensor]) -> Tensor:
        """The view as int16 (size,), cut out of `DecodedVideo.frames`."""
        return _from(frames[RATE], self.start, self.size)


class HeardDataset(Dataset[DecodedVideo]):
    """Sounds for several models: item i is the whole sound of pair i of (video, specs), and where the windows lie."""

    def __init__(self, items: Sequence[tuple[str, Sequence[WindowSpec]]], source: SoundSource) -> None:
        self.items, self.source = items, source

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.items)

    def __getitem__(self, position: int) -> DecodedVideo:
        """One video."""
        video, specs = self.items[position]
        return heard(self.source, video, specs)


def heard(source: SoundSource, video: str, specs: Sequence[WindowSpec]) -> DecodedVideo:
    """Read the sound of a video for several models at once."""
    sound = torch.from_numpy(source.read(video))
    crops = tuple(
        tuple(WindowCrop(start_of(one, len(sound), spec.samples), spec.samples) for one in spec.views) for spec in specs
    )
    return DecodedVideo({RATE: sound}, crops)


def start_of(one: Window, total: int, samples: int) -> int:
    """The first sample of a window in a sound of so many: windows are evenly spaced, and a single one is the centre."""
    room = max(0, total - samples)
    return room // 2 if one.clips == 1 else room * one.clip // (one.clips - 1)


def window(source: SoundSource, video: str, start: int, samples: int) -> Tensor:
    """Samples of a video from `start` on, int16 (samples,); they begin again where the sound ends."""
    total = source.samples(video)
    return _from(torch.from_numpy(source.read(video, start, min(samples, total))), 0, samples)


def _from(sound: Tensor, start: int, samples: int) -> Tensor:
    if start + samples <= len(sound):
        return sound[start : start + samples]
    return sound[torch.from_numpy((start + np.arange(samples)) % len(sound)).to(sound.device)]
