"""What a machine refuses (disk, memory, open files, a process): the errors of many libraries -> one message.

A library says "No space left on device" as an OSError, a RuntimeError or an exception of its own, so what tells is the
number of the error where it is known, and its words otherwise: they may hold a file's name, which may say anything.
"""

import errno
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - it is looked at, and nothing is put there
GOES_ON = "What was finished is kept, and the same command goes on."
_SETTING = "in conf/config.yaml (then `pipeline params`)"


@dataclass(frozen=True)
class Fault:
    """Something that a machine refuses."""

    words: re.Pattern[str]
    """What libraries say."""
    numbers: frozenset[int]
    """The errno of an OSError."""
    remedy: str
    """What is wrong and what mends it; {what} is the error in its own words, {shared} the size of the shared memory."""


def _fault(words: str, numbers: set[int], remedy: str) -> Fault:
    return Fault(re.compile(words, re.IGNORECASE), frozenset(numbers), remedy)


FAULTS = (
    _fault(
        "Too many open files|received 0 items of ancdata",
        {errno.EMFILE, errno.ENFILE},
        "Too many files are open ({what}). `ulimit -n 4096` allows more in this shell; or lower machine.workers "
        + _SETTING
        + ".",
    ),
    _fault(
        r"shared memory|/torch_\d+|Bus error",
        set(),
        "The shared memory {shared}, in which loaders hand over their clips, is full ({what}). In Docker: `docker run "
        "--shm-size=8g`; elsewhere: `mount -o remount,size=8g /dev/shm`. Or lower machine.workers " + _SETTING + ".",
    ),
    _fault(
        "No space left on device|Disk quota exceeded|File too large|\\d+ requested and \\d+ written",
        {errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
        "The disk is full ({what}). Make room: `dvc gc --workspace` deletes what DVC keeps of earlier settings, and "
        "machine.scratch " + _SETTING + " may name a folder on another disk.",
    ),
    _fault(
        "Permission denied|Read-only file system",
        {errno.EACCES, errno.EPERM, errno.EROFS},
        "A file or folder may not be read or written ({what}). Mend its owner and rights (`ls -ld`, `chmod u+rwX`), or "
        "how its disk is mounted.",
    ),
    _fault(
        "(can't|Cannot|Unable to) allocate|Insufficient memory|could not create JPEG decoder|MemoryError",
        {errno.ENOMEM},
        "There is too little memory ({what}). Lower machine.workers, machine.clips_per_device (training) or "
        "machine.views_per_pass (inference) " + _SETTING + ".",
    ),
    _fault(
        r"DataLoader worker \(pid",
        set(),
        "A process that loads clips has died ({what}). Most often the system ended it for want of memory: lower "
        "machine.workers " + _SETTING + ".",
    ),
    _fault(
        "Input/output error",
        {errno.EIO},
        "A disk is full, which LMDB calls so, or does not answer as it should ({what}). Make room where `df -h` shows "
        "none; otherwise `dmesg` says more.",
    ),
)
"""The first that fits is told. Too many open files come first: PyTorch says so of its files of shared memory."""


def told(error: BaseException) -> str | None:
    """What is wrong with the machine and what mends it; None for an error that says nothing of the machine."""
    words, number = f"{type(error).__name__}: {error}", getattr(error, "errno", None)
    by_number = [fault for fault in FAULTS if number in fault.numbers]
    for fault in by_number or [fault for fault in FAULTS if fault.words.search(words)]:
        return f"{fault.remedy.format(what=_shortly(error), shared=_shared_memory())} {GOES_ON}"
    return None


def _shortly(error: BaseException) -> str:
    """The error in its own words. That of a loader's worker comes with a traceback, and its own words stand last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Traceback (most recent call last)" in str(error):
        return lines[-1]
    return lines[0].partition(". Details")[0].rstrip(". ") if lines else type(error).__name__


def _shared_memory() -> str:
    if not SHARED_MEMORY.is_dir():
        return str(SHARED_MEMORY)
    return f"{SHARED_MEMORY} ({shutil.disk_usage(SHARED_MEMORY).total / 2**20:,.0f} MiB)"
