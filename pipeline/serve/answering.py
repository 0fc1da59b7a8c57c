"""A file that was uploaded -> its answer: the look at its size, then the extraction and the network."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
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

_SETTING = re.compile(r" \(extract\.\w+\)")


@dataclass(frozen=True)
class Model:
    """Who answers."""

    name: str
    task: Task
    classes: tuple[str, ...]
    score: Callable[[Path, ExtractConfig], np.ndarray | BrokenVideo]
    """Video file -> the probability of every class, float32 (C,), or why there is none; several threads call it."""
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

    def answer(self, file: Path) -> np.ndarray:
        """The probability of every class, float32 (C,).

        Raises:
            Refused: the file is too large, no video or damaged; or this machine is at fault, which is told on stderr.
        """
        config = self.limits.within(self.model.extract)
        try:
            with temporary_folder(file.parent) as folder:
                limits.check(file, self.limits, config, self.ffmpeg, folder)
            found = self.model.score(file, config)
        except (UserError, MachineFault, OSError) as error:
            print(f"pipeline serve: {error}", file=sys.stderr, flush=True)
            message = "This server is at fault, not the video; its log says why. Ask again later."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "server", message) from error
        if isinstance(found, BrokenVideo):
            raise Refused.broken(found.reason, _SETTING.sub("", found.words))
        return found
