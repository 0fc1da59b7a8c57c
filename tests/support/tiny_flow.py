"""Videos of a texture that moves by known numbers of pixels, packed as stage `pack` packs frames."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg

from pipeline import class_stats
from pipeline.class_stats import ClassStatistics
from pipeline.clips import frame_store, packing
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.flow_store import FlowStore
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.packing import Finished
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core import files, frame_index
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.flow.compute import compute_flow
from pipeline.flow.config import FlowConfig
from pipeline.training.config import ModelConfig
from tests.support import tiny

CONFIG = FlowConfig(by=("dis",), preset="medium", short_side=None, bound=20.0, quality=95, folder=None)


def texture(seed: int = 0, height: int = 96, width: int = 128) -> np.ndarray:
    """A picture without edges at its borders, uint8 (H, W, 3): some waves of each direction."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:height, :width]
    picture = np.zeros((height, width))
    for _ in range(24):
        waves = rng.integers(-9, 10, 2)
        picture += np.cos(2 * np.pi * (waves[0] * down / height + waves[1] * across / width + rng.random()))
    picture = np.clip(127 + 30 * picture, 0, 255).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2)


def moving(right: int, down: int, frames: int, seed: int = 0, **size: int) -> list[np.ndarray]:
    """Frames (H, W, 3) of a texture that moves by whole pixels from each to the next."""
    return [np.roll(texture(seed, **size), (n * down, n * right), (0, 1)) for n in range(frames)]


def jpegs(frames: Sequence[np.ndarray]) -> list[bytes]:
    """Frames as stage `extract` stores them, about."""
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 95) for frame in frames]


def pack(folder: Path, shards: Mapping[str, Mapping[str, Sequence[np.ndarray]]]) -> FrameStore:
    """A folder of packed frames: shard -> video -> frames; one that is there is replaced."""
    rows, finished = [], []
    with files.aside(folder) as aside:
        aside.mkdir(parents=True)
        made = aside.parent / f"{folder.name}-made"
        made.mkdir(exist_ok=True)
        for name, videos in shards.items():
            values = []
            for video, frames in sorted(videos.items()):
                height, width = frames[0].shape[:2]
                values.append((video, frame_store.encode(jpegs(frames), width, height)))
                rows.append((video, name, len(frames), width, height))
            path = made / f"{name}.lmdb"
            path.unlink(missing_ok=True)
            frame_store.write_shard(path, values)
            finished.append(Finished(name, path, files.file_hash(path), files.file_hash(path)))
        index = pd.DataFrame(sorted(rows), columns=list(frame_index.PACKED_COLUMNS))
        packing.fill(aside, finished, index)
    return FrameStore(folder)


WAYS = {"down": (0, 2), "left": (-2, 0), "right": (2, 0)}
"""Class -> the pixels that its videos move to the right and down in each frame."""


def corpus(folder: Path, train: int = 9, val: int = 4, test: int = 3) -> tuple[Manifest, FlowStore, ClassStatistics]:
    """Videos of 40 x 32 that move in the way of their class; the last of val and of test has one frame, so no flow."""
    records, videos = [], {}
    for split, number in (("train", train), ("val", val), ("test", test)):
        for index in range(number):
            video, name = f"{split}{index}", list(WAYS)[index % 3]
            records.append(VideoRecord(video, split, f"{video}.mp4", name, "1-x"))
            still = split != "train" and index == number - 1
            videos[video] = moving(*WAYS[name], 1 if still else 8, seed=len(videos), height=32, width=40)
    manifest = Manifest.from_records(records, list(WAYS))
    if not (folder / "flow").is_dir():
        pack(folder / "lmdb", {"shard-00000": videos})
        to, on = (folder / "flow", folder / "no_flow.tsv"), tiny.machine(folder / "flow-work")
        compute_flow(manifest, folder / "lmdb", *to, CONFIG, on)
    store = FlowStore(folder / "flow", FrameStore(folder / "lmdb").videos)
    return manifest, store, class_stats.count(manifest.split("train"))


def model(epochs: int = 3, lr: float = 0.05, **train: object) -> ModelConfig:
    """A very small TSN of flow."""
    turned = AugmentConfig("random_side", 32, sides=(32, 40), flip=(("left", "right"),))
    seen = tiny.model(epochs, lr, **{"augment": turned} | train)
    clip = ClipConfig(SamplerConfig("segments", 2, consecutive=5), side=32, crop=32, input="flow")
    return replace(seen, options=seen.options | {"input": "flow"}, clip=clip)
