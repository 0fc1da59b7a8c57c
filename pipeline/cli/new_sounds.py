"""The sound of new video files, for members that hear."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.clips import sound_dataset
from pipeline.clips.dataset import DecodedVideo
from pipeline.clips.sound_dataset import WindowSpec
from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.files import temporary_folder
from pipeline.core.machine import Machine, scratch_folder
from pipeline.core.tsv import one_line
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.outcome import NoFrames
from pipeline.sound.decode import decode


class NewSound:
    """The sound of one video that is in no store, as `sound_dataset.heard` reads it."""

    def __init__(self, sound: np.ndarray) -> None:
        self.sound = sound

    def samples(self, video: str) -> int:  # noqa: ARG002 - there is one
        """The number of samples."""
        return len(self.sound)

    def read(self, video: str, start: int = 0, count: int | None = None) -> np.ndarray:  # noqa: ARG002 - as above
        """Some samples, or all."""
        return self.sound[start:] if count is None else self.sound[start : start + count]


def of(file: Path, config: ExtractConfig, machine: Machine) -> np.ndarray | BrokenVideo:
    """The sound of a file, int16 (S,), or why there is none."""
    with temporary_folder(scratch_folder(machine, "predict")) as folder:
        try:
            return decode(file, folder, config, machine.ffmpeg_path())
        except NoFrames as none:
            return BrokenVideo(str(file), "", str(file), none.reason, one_line(str(none)))


def views_of(sound: np.ndarray, specs: Sequence[WindowSpec]) -> DecodedVideo:
    """The windows of a sound that several models want."""
    return sound_dataset.heard(NewSound(sound), "", specs)
