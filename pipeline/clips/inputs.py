"""What a model takes of a video: frames, their flow, or sound.

A section `models.<name>.clip` says it by `input: sound` or `input: flow`; without the word it is of frames. Flow is
read as frames are, from a store of its own. All else that differs between those and sound is in the class of the
section, whose methods have the same names: which samples there are in training, which views in testing, and how a store
is read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline.clips.dataset import ClipConfig
from pipeline.clips.flow_store import FlowStore
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.clips.sound_store import SoundStore
from pipeline.core import params


class Store(Protocol):
    """What training and inference ask of the frames, the flow or the sound of a corpus, whichever it is."""

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


def input_of(clip: Any) -> str:
    """What a section `models.<name>.clip`, as plain values, says that the model takes: frames, flow or sound."""
    return str(clip.get("input", "frames")) if isinstance(clip, Mapping) else "frames"


def hears(clip: Any) -> bool:
    """Whether a section `models.<name>.clip`, as plain values, is of a model that hears."""
    return input_of(clip) == "sound"


def alike(clips: Mapping[str, Any], model: str) -> list[str]:
    """The models that read the store that `model` reads, by the sections `clip` of all, as plain values."""
    return [name for name, clip in clips.items() if input_of(clip) == input_of(clips[model])]


def read_clip(clip: Any, where: str) -> ClipConfig | SoundClipConfig:
    """The section, checked; `where` names it in messages.

    Raises:
        UserError: a line for each setting that is wrong.
    """
    return params.build(SoundClipConfig, clip, where) if hears(clip) else params.build(ClipConfig, clip, where)


def store_of(clip: Any, lmdb: Path, sound: Path, flow: Path) -> FrameStore | SoundStore:
    """The store that a model is trained on whose section `models.<name>.clip`, as plain values, is given."""
    if input_of(clip) == "flow":
        return FlowStore(flow)
    return SoundStore(sound) if hears(clip) else FrameStore(lmdb)


def tested_store_of(clip: Any, lmdb: Path, sound: Path, flow: Path) -> FrameStore | SoundStore:
    """The store that it is tested on: one that gave no frame is broken to all models, whatever they take."""
    frames = FrameStore(lmdb)
    if input_of(clip) == "flow":
        return FlowStore(flow, frames.videos)
    return SoundStore(sound, frames.videos) if hears(clip) else frames
