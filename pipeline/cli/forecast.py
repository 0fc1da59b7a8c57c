"""What a corpus will cost: hours of video, disk and minutes, from a few of its videos that are extracted.

Bytes and times of extraction are measured on this machine. Times of training are guesses from the rates of a machine
with two cores.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import files
from pipeline.core.machine import Machine, scratch_folder
from pipeline.core.segments import Segment
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import NoFrames
from pipeline.training.config import epochs_of

SAMPLES = 10
"""Number of videos that are extracted."""
TRAINED_CLIPS_A_SECOND: dict[str, float] = {
    "tsn_demo": 150.0,
    "tsm_demo": 120.0,
    "tin_demo": 100.0,
    "slowfast_demo": 60.0,
    "probe": 8.0,
    "tsn_lite0": 14.0,
    "trn_lite0": 15.0,
    "tsm_lite0": 14.0,
}
"""Model -> clips a second that two CPU cores train, at its own size and batch. A model that is not here has no time."""


@dataclass(frozen=True)
class Forecast:
    """Measured on `samples` videos, for all of them."""

    samples: int
    seconds: float
    """Mean length of a video in seconds; 0 where no sample gave a frame."""
    bytes: float
    """Mean size of the JPEGs of a video."""
    extraction: float
    """Mean seconds that one core extracts a video."""
    unreadable: tuple[str, ...]
    """Samples that gave no frame, each with the reason."""


def measure(root: Path, videos: Sequence[Mapping[str, str]], config: ExtractConfig, machine: Machine) -> Forecast:
    """Extract some videos (rows of a manifest), spread evenly over their list, and throw the frames away."""
    chosen = [videos[n] for n in np.unique(np.linspace(0, len(videos) - 1, min(SAMPLES, len(videos))).astype(int))]
    binary, found, unreadable = machine.ffmpeg_path(), [], []
    for video in chosen:
        with files.temporary_folder(scratch_folder(machine, "init")) as folder:
            start = time.perf_counter()
            try:
                extracted = extract_frames(root / video["path"], folder, config, binary, Segment.of(video))
            except NoFrames as broken:
                unreadable.append(f"{video['video']} ({broken.reason})")
                continue
            held = sum(jpeg.stat().st_size for jpeg in folder.glob("*.jpg"))
            found.append((extracted.frames / config.fps, held, time.perf_counter() - start))
    seconds, size, extraction = np.mean(found, axis=0) if found else np.zeros(3)
    return Forecast(len(chosen), float(seconds), float(size), float(extraction), tuple(unreadable))


def training_minutes(models: Mapping[str, Any], train_videos: int) -> dict[str, float | None]:
    """Minutes of training of each model of params.yaml; None where its rate is not known."""
    rates = TRAINED_CLIPS_A_SECOND
    clips = {name: train_videos * epochs(model["train"], train_videos) for name, model in models.items()}
    return {name: count / rates[name] / 60 if name in rates else None for name, count in clips.items()}


def epochs(train: Mapping[str, Any], videos: int) -> int:
    """Passes over the train videos; a probe sees them once."""
    if "epochs" not in train:
        return 1
    return epochs_of(train["epochs"], train.get("least_steps", 0), train["batch"], videos)
