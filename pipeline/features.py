"""Features of a corpus: what a frozen network says of the centre clip of every video, computed once.

features.npy  float16 (V, D), of the V videos that gave frames
videos.txt    their ids, a line each
groups.tsv    the groups of those that have one
about.json    what the features were made with
key.txt       a fingerprint of all that the array depends on, so that none is computed twice
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from pipeline.clips.dataset import ClipConfig, MultiViewDataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.loader import loader
from pipeline.clips.views import View, ViewGrid
from pipeline.core import checksums, files, groups, npy
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.progress_bar import progress_bar
from pipeline.layers.frozen import Frozen
from pipeline.layers.normalize import InputSpec, normalize
from pipeline.runtime import distributed, fingerprint, lease
from pipeline.runtime.chunk_cache import CHUNK, ChunkCache

log = logging.getLogger(__name__)

ARRAY, VIDEOS, GROUPS, ABOUT, KEY = "features.npy", "videos.txt", "groups.tsv", "about.json", "key.txt"
CODE = ("core", "clips", "layers", "pretrained", "features.py")
"""What makes features besides the file of the model; those of other code are computed anew."""
BATCH = 4
"""Clips of a forward pass, a divisor of the videos of a chunk."""


@dataclass(frozen=True)
class Features:
    """Features of V videos."""

    videos: tuple[str, ...]
    values: np.ndarray
    """float16 (V, D), which lies on disk until it is used."""
    groups: Mapping[str, str]
    """Group (person, recording) of each video that has one."""
    about: Mapping[str, Any]
    """What they were made with, as plain values."""

    @classmethod
    def read(cls, folder: Path) -> "Features":
        """Read what `write` wrote.

        Raises:
            UserError: a file is missing or damaged.
        """
        for name in (ARRAY, VIDEOS, ABOUT):
            checksums.check(folder / name)
        try:
            values = npy.read(folder / ARRAY)
            videos = (folder / VIDEOS).read_text(encoding="utf-8").splitlines()
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{folder} holds no features ({error}). `dvc repro features@{folder.name}`.") from error
        if values.dtype.kind != "f" or values.ndim != 2 or len(values) != len(videos):
            raise UserError(
                f"{folder / ARRAY} has the shape {values.shape}, for {len(videos)} videos. "
                f"`dvc repro --force features@{folder.name}` makes it again."
            )
        return cls(tuple(videos), values, groups.read(folder / GROUPS), about)

    def of(self, videos: Sequence[str]) -> np.ndarray:
        """Features of some of the videos, float32 (V, D), in the order asked for."""
        place = {video: row for row, video in enumerate(self.videos)}
        return np.asarray(self.values[[place[video] for video in videos]], dtype=np.float32)


def write(
    network: Frozen, spec: InputSpec, clip: ClipConfig, videos: Sequence[str], store: FrameStore, out: Path,
    machine: Machine, of_groups: Mapping[str, str], about: Mapping[str, Any],
) -> None:  # fmt: skip
    """Compute the features of the centre clips of `videos`, and write them to the folder `out`, all or nothing.

    An array that `out`, or a folder beside it, holds of the same network, settings, frames, code and libraries is taken
    as it is: another head, or new groups, cost nothing. The same call goes on where one that was killed has stopped.

    Args:
        spec: what the network's weights expect of pixels.
        clip: which frames and pixels of a video are seen.
        videos: each has frames in `store`.
        of_groups: video -> its group, where it has one.
        about: what the features are made with besides, as plain values.
    """
    seen = (
        spec,
        store.content_key({clip.side}),
        fingerprint.code(*CODE, f"models/{about['arch']}.py"),
        fingerprint.versions(about["arch"]),
    )
    key = files.fingerprint(dict(about), list(videos), *map(str, seen))
    with files.aside(out) as partial:
        partial.mkdir()
        if there := _same(out, key):
            files.link(there / ARRAY, partial / ARRAY)
            log.info("%s: the features are those of %s", out, there)
        else:
            folder = files.folder_of(Path(machine.scratch) / "features", out.name, key, machine.threads)
            cache = ChunkCache(folder, len(videos), (network.dimension,))
            _compute(cache, partial / ARRAY, network, spec, clip, videos, store, machine, out.name)
        files.write_text(partial / VIDEOS, "".join(f"{video}\n" for video in videos))
        files.write_text(partial / KEY, f"{key}\n")
        groups.write(partial / GROUPS, of_groups)
        files.write_json(partial / ABOUT, dict(about))
        checksums.seal(partial)


def _same(out: Path, key: str) -> Path | None:
    """The folder `out`, or one beside it, whose array is of this key and not damaged; None where there is none."""
    for folder in (out, *sorted(out.parent.iterdir())):
        try:
            if (folder / KEY).read_bytes() == f"{key}\n".encode() and (folder / ARRAY).is_file():
                checksums.check(folder / ARRAY)
                return folder
        except (OSError, UserError):
            continue  # another kind of folder, or a damaged one, whose array is computed anew
    return None


def _compute(
    cache: ChunkCache, array: Path, network: Frozen, spec: InputSpec, clip: ClipConfig, videos: Sequence[str],
    store: FrameStore, machine: Machine, name: str,
) -> None:  # fmt: skip
    """Write the features to the file `array`: those that the cache has, and those that it lacks."""
    fabric = distributed.launch(replace(machine, devices=1))  # several would each compute and write all of it
    network = network.to(fabric.device).eval()
    if distributed.suits_channels_last(network, fabric):
        distributed.to_channels_last(network)
    grid = ViewGrid((View(1, 0, clip.centre, "centre"),), {"clip": (0,)})
    pin = fabric.device.type == "cuda"
    with lease.hold(cache.lock, fabric, wait=True):
        chunks = [chunk for chunk in range(cache.chunks) if cache.count(chunk) < len(cache.span(chunk))]
        wanted = [videos[number] for chunk in chunks for number in cache.span(chunk)]
        clips = loader(MultiViewDataset(wanted, store, clip.sampler, grid), machine.processes, pin, batch_size=BATCH)
        done = len(videos) - len(wanted)
        with progress_bar(initial=done, total=len(videos), desc=f"features {name}", unit="video") as bar:
            for chunk, rows in zip(chunks, _chunks(network, spec, clips, bar), strict=True):
                cache.write(chunk, rows)
        _gather(cache, array)
        cache.delete()
    distributed.close(fabric)


def _chunks(network: Frozen, spec: InputSpec, clips: DataLoader[Any], bar: Any) -> Iterator[np.ndarray]:
    """The features of the videos that a loader gives, float16 (n, D), n being that of a chunk and less in the last."""
    device, found = next(network.parameters()).device, []
    for views in clips:
        (pixels,) = views.values()  # one view, so one size
        with torch.inference_mode():
            rows = network.features(normalize(pixels[:, 0].to(device, non_blocking=True), spec))
        found.append(rows.cpu().numpy().astype(np.float16))
        bar.update(len(rows))
        if len(found) * BATCH == CHUNK:
            yield np.concatenate(found)
            found = []
    if found:
        yield np.concatenate(found)


def _gather(cache: ChunkCache, path: Path) -> None:
    """Write one array of all videos' features; memory holds those of a chunk at a time."""
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(cache.videos, *cache.shape))
    for row, features in enumerate(cache.all()):
        values[row] = features
    values.flush()
