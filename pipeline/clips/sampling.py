"""Sampling of clips: (number of frames of a video, random generator) -> frame indices, counted from 0.

Two kinds, as the report and its models use them (Wang et al., "Temporal Segment Networks", arXiv:1608.00859, and
Feichtenhofer et al., "SlowFast Networks", arXiv:1812.03982):

* `segments`: the video is cut into T equal parts, and each gives one frame. In training a random one of its
  floor(F / T) first frames, so up to T - 1 frames at the end are never drawn, as in the published code; in testing
  the frame at the same relative place of each part, the centre for a single clip.
* `dense`: T frames, `stride` apart, from one start. In training any start for which stride * T frames remain, the
  last included; in testing evenly spaced starts, the middle one for a single clip.

Where `consecutive` is above 1, each frame of `segments` is followed by its next ones, for models that look at
differences: the first of them are drawn as above, from those that have enough behind them.

A video shorter than a clip needs is not refused: `segments` repeats frames evenly, `dense` starts again at frame 0, and
consecutive frames stay at the last one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.core import params


@dataclass(frozen=True)
class SamplerConfig:
    """Section `models.<name>.clip.sampler` of params.yaml."""

    kind: Literal["segments", "dense"]
    """Whether a clip spans the whole video (segments) or is a window of it (dense)."""
    frames: int
    """Number of frames T of a clip, or of its places, where several frames of each are consecutive."""
    stride: int | None = None
    """Distance between two frames of a dense clip, in frames of the video; null for segments."""
    consecutive: int = 1
    """Frames that follow each other at each place of segments: 6 for the option `input: rgb_difference`, else 1."""

    def __post_init__(self) -> None:
        stride = 1 if self.stride is None else self.stride
        params.require(
            (
                self.frames >= 1 and stride >= 1 and (self.kind == "dense") == (self.stride is not None),
                "frames must be positive, and stride positive for dense and null for segments",
            ),
            (self.consecutive >= 1, f"consecutive must be at least 1, not {self.consecutive}"),
            (
                self.consecutive == 1 or self.kind == "segments",
                f"consecutive is for segments, and must be 1 for dense, not {self.consecutive}",
            ),
        )

    @property
    def length(self) -> int:
        """Number of frames of a clip: those of all places."""
        return self.frames * self.consecutive


def training_clip(config: SamplerConfig, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Random frame indices (`config.length`,), in 0 .. frames - 1, of a video with `frames` frames."""
    if config.stride is None:
        firsts = _firsts(config, frames)
        part = firsts // config.frames
        if part == 0:
            return _followed(_short(config.frames, firsts), config, frames)
        return _followed(np.arange(config.frames) * part + rng.integers(part, size=config.frames), config, frames)
    return _run(config, int(rng.integers(_starts(config, frames))), frames)


def testing_clips(config: SamplerConfig, frames: int, clips: int) -> np.ndarray:
    """Frame indices (clips, `config.length`) of a video with `frames` frames, always the same; one clip is central."""
    if config.stride is None:
        place = 2 * np.arange(clips) + 1  # inside each part, in halves of a clip: the centre for a single clip
        parts = 2 * clips * np.arange(config.frames)
        found = (parts + place[:, None]) * _firsts(config, frames) // (2 * clips * config.frames)  # whole, so exact
        return _followed(found, config, frames)
    starts = _starts(config, frames)
    chosen = [starts // 2] if clips == 1 else np.linspace(0, starts - 1, clips).astype(np.int64)
    return np.stack([_run(config, int(start), frames) for start in chosen])


def _short(wanted: int, frames: int) -> np.ndarray:
    return np.arange(wanted) * frames // wanted


def _firsts(config: SamplerConfig, frames: int) -> int:
    """Number of frames that enough others follow, at least 1."""
    return max(1, 1 + frames - config.consecutive)


def _followed(firsts: np.ndarray, config: SamplerConfig, frames: int) -> np.ndarray:
    """First frames (..., T) -> them and the next ones, (..., T x consecutive)."""
    every = np.minimum(firsts[..., None] + np.arange(config.consecutive), frames - 1)
    return every.reshape(*firsts.shape[:-1], config.length)


def _starts(config: SamplerConfig, frames: int) -> int:
    """Number of places at which a dense clip may start, at least 1."""
    assert config.stride is not None
    return max(1, 1 + frames - config.stride * config.frames)


def _run(config: SamplerConfig, start: int, frames: int) -> np.ndarray:
    assert config.stride is not None
    return (start + config.stride * np.arange(config.frames)) % frames
