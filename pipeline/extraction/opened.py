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
        OSError: the machine has no open files or memory left.
    """
    try:
        descriptor = os.open(video, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason, words = video_files.fault(video) or video_files.refused(video, error)
        raise NoFrames(reason, words, again=True) from error
    if unfit := video_files.unfit(os.fstat(descriptor)):
        os.close(descriptor)
        raise NoFrames(*unfit)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, no path
        yield file
