"""A corpus of a few tiny videos that lies packed on disk: class k is a colour, so that anything can learn it."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
import torch
from tqdm import tqdm

from pipeline import class_stats
from pipeline.class_stats import ClassStatistics
from pipeline.clips import frame_store, lmdb_pages
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core import frame_index, task, tsv
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.runtime import distributed
from pipeline.training import trainer
from pipeline.training.config import LossConfig, ModelConfig, TrainConfig
from pipeline.training.optim import OptimConfig, ScheduleConfig
from pipeline.training.resume import TrainState
from pipeline.training.step import Pieces, TrainStep

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
FRAMES = 6
SMALL_NET = {"backbone": "resnet10t", "backbone_options": {"stem_width": 4, "channels": [8, 8, 8, 8]}, "frames": 2}


def corpus(
    folder: Path, train: int = 8, val: int = 4, test: int = 3, labels: int = 2
) -> tuple[Manifest, FrameStore, ClassStatistics]:
    """Videos of 40 x 32 noise in the colours of one or up to two labels; the last of val and of test is broken."""
    records, values, rows = [], [], []
    for split, number in (("train", train), ("val", val), ("test", test)):
        for index in range(number):
            names = sorted({list(COLOURS)[place % 3] for place in (index, index // 3)[:labels]})
            records.append(VideoRecord(f"{split}{index}", split, f"{split}{index}.mp4", ";".join(names), "1-x"))
            if split == "train" or index < number - 1:
                values.append((f"{split}{index}", frame_store.encode(_jpegs(names, seed=len(values)), 40, 32)))
                rows.append((f"{split}{index}", "shard-00000", FRAMES, 40, 32))
    manifest = Manifest.from_records(records, list(COLOURS))
    seen = manifest.split("train")
    found = manifest, class_stats.count(seen)
    if (folder / frame_index.FILE).is_file():  # made before, perhaps for several processes that read it
        return found[0], FrameStore(folder), found[1]
    folder.mkdir(parents=True, exist_ok=True)
    frame_store.write_shard(folder / "shard-00000.lmdb", sorted(values))
    lmdb_pages.write(folder)
    index = pd.DataFrame(sorted(rows), columns=list(frame_index.PACKED_COLUMNS))
    frame_index.write_packed(folder / frame_index.FILE, index)
    tsv.write(folder / frame_store.SHARDS, pd.DataFrame({"shard": ["shard-00000"], "key": ["0"]}))
    return found[0], FrameStore(folder), found[1]


def model(epochs: int = 3, lr: float = 0.05, **train: object) -> ModelConfig:
    """A very small TSN with dropout, so that a resumed run shows whether its random numbers were kept."""
    settings = dict(
        epochs=epochs,
        batch=3,
        seed=0,
        loss=LossConfig("bce", {"bce": {"scale": 10.0}}),
        optim=OptimConfig(lr, 1e-4, 20.0, options={"sgd": {"momentum": 0.9, "nesterov": True}}),
        schedule=ScheduleConfig("cosine"),
        augment=AugmentConfig("random_side", 32, sides=(32, 40)),
    )
    clip = ClipConfig(SamplerConfig("segments", 2), side=32, crop=32)
    return ModelConfig("tsn", SMALL_NET | {"dropout": 0.5}, clip, TrainConfig(**(settings | train)))


def machine(scratch: Path, **settings: object) -> Machine:
    given = dict(
        workers=1, threads=1, accelerator="cpu", devices=0, precision="32", tf32=False, clips_per_device=None,
        channels_last=False, compile=False, scratch=str(scratch), logs=str(scratch / "logs"), ffmpeg=None,
        save_seconds=60.0,
    )  # fmt: skip
    return Machine(**given | settings)


def train_step(folder: Path, config: ModelConfig, **settings: object) -> TrainStep:
    """One update of a model, ready to be called with `pieces`."""
    on = machine(folder / "work", **settings)
    return TrainStep(config, len(COLOURS), corpus(folder / "lmdb")[2], distributed.launch(on), on)


def pieces(number: int = 1, frames: int = 2, pin: bool = False) -> Pieces:
    """Pieces of two clips of noise each, with the classes that they bear."""
    made = torch.Generator().manual_seed(number)
    clips = [torch.randint(0, 256, (2, 3, frames, 32, 32), dtype=torch.uint8, generator=made) for _ in range(number)]
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    return tuple((clip.pin_memory(), targets.pin_memory()) if pin else (clip, targets) for clip in clips)


def fit(folder: Path, name: str, config: ModelConfig | None = None, **settings: object) -> tuple[Path, TrainState]:
    """Train on the corpus that lies, or is made, in `folder`; the out and the state at the end."""
    out, on = folder / name, machine(folder / f"{name}-work", **settings)
    return out, trainer.fit(config or model(), *corpus(folder / "lmdb"), out, on)


def fit_one_label(folder: Path, name: str, config: ModelConfig, **settings: object) -> tuple[Path, TrainState]:
    """Train on videos of one label each."""
    out, on, data = folder / name, machine(folder / f"{name}-work", **settings), corpus(folder / "one-lmdb", labels=1)
    return out, trainer.fit(config, *data, out, on, task.resolve("auto", data[0]))


def bars_drawn(monkeypatch, module: ModuleType) -> list[str]:
    """What the module's progress bars show from now on, of which none is due before the end of time."""
    drawn: list[str] = []

    class Bar(tqdm):
        def display(self, *_: Any, **__: Any) -> bool:
            drawn.append(str(self))
            return True

    monkeypatch.setattr(module, "progress_bar", lambda *items, **options: Bar(*items, mininterval=math.inf, **options))
    return drawn


def _jpegs(names: list[str], seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    colour = np.mean([COLOURS[name] for name in names], axis=0)
    frames = np.clip(colour + rng.normal(0, 40, (FRAMES, 32, 40, 3)), 0, 255).astype(np.uint8)
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(frame)) for frame in frames]
