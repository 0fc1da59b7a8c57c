"""A video file that is open for FFmpeg, or the reason why it cannot be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.core import video_files
from pipeline.extraction.outcome import NoFrames


@contextmanager
def opened(video: Path) -> Iterator[BinaryIO]:
    """The open file; what has its name later is another one.

    Raises:
        NoFrames: the file is missing, unreadable, empty, or no file: opening a pipe or a device never waits.
    """
    if fault := video_files.fault(video):
        reason, words = fault
        raise NoFrames(reason, words, again=reason != video_files.EMPTY)
    try:
        descriptor = os.open(video, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NoFrames(video_files.UNREADABLE, f"it went away just now ({error.strerror})", again=True) from error
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, no path
        yield file
