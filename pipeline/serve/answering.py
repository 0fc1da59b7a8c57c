"""A file that was uploaded -> its answer: the look at its size, then the extraction and the network."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.errors import UserError
from pipeline.core.files import temporary_folder
from pipeline.core.task import Task
from pipeline.extraction.child import MachineFault
from pipeline.extraction.config import ExtractConfig
from pipeline.serve import limits
from pipeline.serve.limits import Limits
from pipeline.serve.refused import Refused

_SETTING = re.compile(r" \(extract\.[^)]*\)")


@dataclass(frozen=True)
class Model:
    """Who answers."""

    name: str
    task: Task
    classes: tuple[str, ...]
    sees: bool
    """Whether it needs pictures: a file of sound alone is no video then."""
    score: Callable[[Path, str, ExtractConfig], np.ndarray | BrokenVideo]
    """Video file and the video's name -> the probability of every class, float32 (C,), or why there is none; several
    threads call it."""
    told: Callable[[str, np.ndarray], str]
    """A video's name and its probabilities -> the answer as JSON."""
    extract: ExtractConfig


@dataclass(frozen=True)
class Answering:
    """Answers within limits.

    Args:
        ffmpeg: path of FFmpeg.
    """

    model: Model
    limits: Limits
    ffmpeg: str

    def answer(self, file: Path, video: str) -> np.ndarray:
        """The probability of every class, float32 (C,); `video` is what the file is called.

        Raises:
            Refused: the file is too large, no video or damaged; or this machine is at fault, which is told on stderr.
        """
        config = self.limits.within(self.model.extract)
        try:
            with temporary_folder(file.parent) as folder:
                limits.check(file, self.limits, config, self.ffmpeg, folder, sound=not self.model.sees)
            found = self.model.score(file, video, config)
        except (UserError, MachineFault, OSError) as error:
            raise Refused.at_fault(error) from error
        if isinstance(found, BrokenVideo):
            raise Refused.broken(found.reason, _SETTING.sub("", found.words))
        return found
