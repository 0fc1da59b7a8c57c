"""Tries: FFmpeg on one video, again where the machine and not the video is at fault."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.core import faults
from pipeline.core.errors import UserError
from pipeline.extraction.child import Ended, LacksMemory, Limits, MachineFault, run
from pipeline.extraction.ffmpeg_log import FFmpegLog
from pipeline.extraction.opened import opened
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import QUIET

T = TypeVar("T")
WAITS = (1.0, 10.0)
"""Seconds before another try, where the machine and not the video is at fault."""
_FULL = {256 - error: error for error in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES)}
"""Exit codes of an FFmpeg that cannot write: those of errno, as a byte."""
_LACKING_WORDS = ("Cannot allocate memory", "Resource temporarily unavailable", "Too many open files")


def tried(video: Path, folder: Path, binary: str, attempt: Callable[[BinaryIO], T]) -> T:
    """What `attempt` makes of the open file, in which FFmpeg writes into `folder`, which is empty before each try.

    Raises:
        NoFrames: of `attempt`; or the video cannot be opened, or asks for too much memory.
        UserError: the machine keeps FFmpeg from its work, several times.
    """
    with opened(video) as file:
        for wait in (*WAITS, None):
            try:
                return attempt(file)
            except MachineFault as fault:
                empty(folder)
                if wait is not None:
                    time.sleep(wait)
                    continue
                if isinstance(fault, LacksMemory) and _well(binary, file, folder):
                    raise NoFrames("too_large", f"for this file alone, {fault}", again=True) from fault
                remedy = faults.told(fault) or (
                    "Look at the memory and the limits of this machine, or lower machine.workers; then `dvc repro` "
                    "goes on where it was."
                )
                raise UserError(
                    f"{video}: {fault}, {len(WAITS) + 1} times. That is no fault of the video. {remedy}"
                ) from fault
    raise AssertionError


def check(ended: Ended, log: FFmpegLog, folder: Path) -> None:
    """Tell what is no verdict of FFmpeg on the video.

    Raises:
        LacksMemory: FFmpeg got no memory or threads.
        UserError: it cannot write.
    """
    if ended.code in _FULL:
        raise UserError(
            f"FFmpeg cannot write into {folder.resolve()} ({os.strerror(_FULL[ended.code])}). Free some space, or set "
            "machine.scratch in conf/config.yaml and `make params`; then `dvc repro` goes on where it was."
        )
    if any(log.says(words) for words in _LACKING_WORDS):
        raise LacksMemory(f"FFmpeg lacks memory or threads ({log.words})")


def empty(folder: Path) -> None:
    """Delete what FFmpeg has written into a folder."""
    for file in folder.iterdir():
        file.unlink()


def _well(binary: str, file: BinaryIO, folder: Path) -> bool:
    """Whether FFmpeg gets what it needs for a small video of its own making."""
    control = ["-f", "lavfi", "-i", "testsrc2=s=320x240", "-frames:v", "10", "-f", "null", "-"]
    try:
        return run([binary, *QUIET, *control], file, folder, Limits(60, 1 << 30, 1 << 30), FFmpegLog().hear).code == 0
    except MachineFault:
        return False
