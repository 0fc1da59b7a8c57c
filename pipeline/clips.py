"""Samples for a model: manifest + store + sampler + transform.

A training sample is a function of (seed, epoch, video) alone, and a testing sample of the video: neither the number
of workers nor their order changes a pixel.
"""

import hashlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline import sampling, transforms
from pipeline.records import Manifest
from pipeline.sampling import SamplerConfig
from pipeline.store import FrameStore
from pipeline.transforms import AugmentConfig
from pipeline.views import Scale, View, ViewGrid


@dataclass(frozen=True)
class ClipConfig:
    """Section `models.<name>.clip` of params.yaml: what a model sees of a video."""

    sampler: SamplerConfig
    side: int
    """Short side of the centre view, in pixels: validation, and protocol `clip`."""
    crop: int
    """Side of its square crop, in pixels."""

    def __post_init__(self) -> None:
        if self.crop > self.side:
            raise ValueError(f"a crop of {self.crop} pixels does not fit into a short side of {self.side}")

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


class VideoViews(Dataset[dict[int, Tensor]]):
    """All views of a video: item i is {crop side: uint8 (views of that size, 3, T, H, W)}, in the grid's order.

    Every frame that any view needs is read and decoded once.
    """

    def __init__(self, videos: Sequence[str], store: FrameStore, sampler: SamplerConfig, grid: ViewGrid) -> None:
        self.videos, self.store, self.sampler, self.grid = videos, store, sampler, grid

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    def __getitem__(self, position: int) -> dict[int, Tensor]:
        """The views of one video."""
        video = self.videos[position]
        count = self.store.frames(video)
        clips = {
            number: sampling.testing_clips(self.sampler, count, number)
            for number in {view.clips for view in self.grid.views}
        }
        needed = np.unique(np.concatenate([clip.ravel() for clip in clips.values()]))
        frames = read_frames(self.store, video, needed, at_least=None)  # in full, or one view would depend on others
        at_side = {s: transforms.resize_short_side(frames, s) for s in {v.scale.side for v in self.grid.views}}

        def cut(view: View) -> Tensor:
            rows = np.searchsorted(needed, clips[view.clips][view.clip])
            return transforms.testing_crop(at_side[view.scale.side][rows], view.scale.crop, view.crop)

        return {size: torch.stack([cut(self.grid.views[k]) for k in ks]) for size, ks in by_size(self.grid).items()}


def by_size(grid: ViewGrid) -> dict[int, list[int]]:
    """The positions of the views that share a crop size, and so a batch."""
    groups: dict[int, list[int]] = {}
    for position, view in enumerate(grid.views):
        groups.setdefault(view.scale.crop, []).append(position)
    return groups


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, position), shuffled: the order is a function of (seed, epoch).

    Set `epoch` and `first` before each pass; `first` steps are left out, so that a resumed run goes on in the middle.
    A rest smaller than a batch is dropped, which is other videos in each epoch.

    Of each batch this process gets the positions number `rank`, `rank` + `processes`, ..., in `parts` pieces.

    Args:
        batch: videos a step, over all processes.
        most: largest piece, but that all processes make as many pieces, of which none is empty; None where a process
            takes its whole share at once.

    Attributes:
        parts: pieces a step.
        smallest_piece: videos.
    """

    def __init__(
        self, videos: int, batch: int, seed: int, *, rank: int = 0, processes: int = 1, most: int | None = None
    ) -> None:
        self.videos, self.batch, self.seed = videos, batch, seed
        self.rank, self.processes = rank, processes
        smallest, largest = batch // processes, -(-batch // processes)
        self.parts = min(-(-largest // (most or largest)), smallest)  # a piece holds one clip at least
        self.smallest_piece = smallest // self.parts
        self.epoch, self.first = 0, 0

    @property
    def steps(self) -> int:
        """Batches of a whole epoch."""
        return self.videos // self.batch

    def __len__(self) -> int:
        """Pieces of a whole epoch."""
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The pieces of the rest of the epoch, `parts` a step."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.videos)
        for step in range(self.first, self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch][self.rank :: self.processes]
            for piece in np.array_split(chosen, self.parts):
                yield [(self.epoch, int(position)) for position in piece]


def loader(dataset: Dataset, workers: int, pin: bool, *, stay: bool = True, **options: object) -> DataLoader:
    """A DataLoader; its workers `stay` alive between passes or not, and 0 workers load in the calling process."""
    return DataLoader(
        dataset,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_parent,
        persistent_workers=stay and workers > 0,
        pin_memory=pin,
        **options,  # type: ignore[arg-type]  # each caller passes its own
    )


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C and schedulers reach every process of a job: the parent ends its workers when its state is saved."""
    del worker
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def read_frames(store: FrameStore, video: str, indices: Sequence[int] | np.ndarray, at_least: int | None) -> Tensor:
    """Some frames of a video as uint8 (T, 3, H, W).

    Raises:
        BadInput: a stored frame does not decode; names the shard.
    """
    jpegs = store.read(video, [int(index) for index in indices])
    try:
        return transforms.decode(jpegs, at_least)
    except ValueError as error:
        raise store.damaged(video, error) from error


def generator(seed: int, epoch: int, video: str) -> np.random.Generator:
    """The random numbers of one video in one epoch."""
    name = int.from_bytes(hashlib.blake2b(video.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng([seed, epoch, name])
