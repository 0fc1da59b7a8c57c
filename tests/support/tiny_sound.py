"""A corpus of a few tiny sounds that lies on disk: class k is a pitch, so that anything can learn it."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import class_stats
from pipeline.class_stats import ClassStatistics
from pipeline.clips import sound_store
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.clips.sound_store import RATE, SoundStore
from pipeline.clips.views import ViewConfig
from pipeline.core import checksums
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.training.config import LossConfig
from pipeline.training.hearing_config import HearingConfig, HearingTrainConfig
from pipeline.training.optim import OptimConfig, ScheduleConfig

PITCHES = {"high": 3200.0, "low": 200.0, "middle": 800.0}
SECONDS = 0.4
NET = {"backbone": "resnet10t", "backbone_options": {"stem_width": 4, "channels": [8, 8, 8, 8]}, "dropout": 0.5}
VIEWS = ViewConfig(clips=2, sides=(), crop=None)


def corpus(folder: Path, train: int = 8, val: int = 4, test: int = 3) -> tuple[Manifest, SoundStore, ClassStatistics]:
    """Videos of one or two pitches in noise; the last of val and of test have no sound."""
    records, sounds = [], {}
    for split, number in (("train", train), ("val", val), ("test", test)):
        for index in range(number):
            names = sorted({list(PITCHES)[place % 3] for place in (index, index // 3)})
            records.append(VideoRecord(f"{split}{index}", split, f"{split}{index}.mp4", ";".join(names), "1-x"))
            if split == "train" or index < number - 1:
                sounds[f"{split}{index}"] = tones(names, seed=len(sounds))
    manifest = Manifest.from_records(records, list(PITCHES))
    if not (folder / sound_store.INDEX).is_file():
        write(folder, sounds)
    return manifest, SoundStore(folder), class_stats.count(manifest.split("train"))


def write(folder: Path, sounds: dict[str, np.ndarray]) -> None:
    """Write a store of one shard."""
    folder.mkdir(parents=True)
    rows, content = [], b""
    for video, sound in sorted(sounds.items()):
        rows.append((video, "shard-00000", len(content), len(sound)))
        content += sound_store.encode(sound)
    (folder / f"shard-00000{sound_store.SUFFIX}").write_bytes(content)
    sound_store.write_index(folder, pd.DataFrame(rows, columns=list(sound_store.COLUMNS)))
    checksums.seal(folder)


def tones(names: list[str], seed: int) -> np.ndarray:
    """A sound of 0.4 to 0.5 s, int16."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE * rng.uniform(SECONDS, SECONDS + 0.1))) / RATE
    sound = 300 * rng.standard_normal(len(time))
    for name in names:
        sound += 6000 * np.sin(2 * np.pi * PITCHES[name] * time + rng.uniform(0, 6))
    return sound.astype(np.int16)


def model(epochs: int = 3, lr: float = 0.05, **train: object) -> HearingConfig:
    """A very small audio CNN with dropout and masks, which show whether a resumed run has kept its random numbers."""
    settings = dict(
        epochs=epochs,
        batch=3,
        seed=0,
        loss=LossConfig("bce", {"bce": {"scale": 10.0}}),
        optim=OptimConfig(lr, 1e-4, 20.0, options={"sgd": {"momentum": 0.9, "nesterov": True}}),
        schedule=ScheduleConfig("cosine"),
    )
    clip = SoundClipConfig("sound", SECONDS)
    return HearingConfig("audio_cnn", NET, clip, HearingTrainConfig(**(settings | train)))
