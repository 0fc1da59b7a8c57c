"""What a model takes of a video: frames, or sound.

A section `models.<name>.clip` says it by `input: sound`; without the word it is of frames. All else that differs
between the two is in the class of the section, whose methods have the same names: which samples there are in training,
which views in testing, and how a store is read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline.clips.dataset import ClipConfig
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.clips.sound_store import SoundStore
from pipeline.core import params


class Store(Protocol):
    """What training and inference ask of the frames or the sound of a corpus, whichever it is."""

    root: Path

    def __contains__(self, video: str) -> bool:
        """Whether there is something of a video."""

    def broken(self, video: str) -> bool:
        """Whether a video gave nothing to any model; one of which there is nothing here may still be seen by others."""

    @property
    def videos(self) -> list[str]:
        """The ids of all videos that there is something of, sorted."""

    def content_key(self, sides: Iterable[int] = ()) -> str:
        """A hash of the content, computed without reading it."""


def hears(clip: Any) -> bool:
    """Whether a section `models.<name>.clip`, as plain values, is of a model that hears."""
    return isinstance(clip, Mapping) and clip.get("input") == "sound"


def alike(clips: Mapping[str, Any], model: str) -> list[str]:
    """The models that read the store that `model` reads, by the sections `clip` of all, as plain values."""
    return [name for name, clip in clips.items() if hears(clip) == hears(clips[model])]


def read_clip(clip: Any, where: str) -> ClipConfig | SoundClipConfig:
    """The section, checked; `where` names it in messages.

    Raises:
        UserError: a line for each setting that is wrong.
    """
    return params.build(SoundClipConfig, clip, where) if hears(clip) else params.build(ClipConfig, clip, where)


def store_of(clip: Any, lmdb: Path, sound: Path) -> FrameStore | SoundStore:
    """The store that a model is trained on whose section `models.<name>.clip`, as plain values, is given."""
    return SoundStore(sound) if hears(clip) else FrameStore(lmdb)


def tested_store_of(clip: Any, lmdb: Path, sound: Path) -> FrameStore | SoundStore:
    """The store that it is tested on: one that gave no frame is broken to all models, heard or not."""
    frames = FrameStore(lmdb)
    return SoundStore(sound, frames.videos) if hears(clip) else frames
