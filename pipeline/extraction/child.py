"""One run of FFmpeg on one open file, under limits: processor time, memory, bytes that it writes."""

import contextlib
import errno
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import psutil

POLL_SECONDS = 0.1
STALL_SECONDS = 600.0
"""Seconds without any progress after which the machine is at fault: a file system that does not answer, say."""
LEAST_PAUSE, MOST_PAUSE = 2, 32
"""Milliseconds between looks at what FFmpeg says: being woken for each of its lines would cost more than all else here.
"""
LONGEST_LINE = 1 << 16
"""Bytes; as many as a pipe holds before who writes into it must wait."""
LACKING = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
"""Errors of a machine that has no memory, processes or descriptors left for the moment."""


_TOLD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
"""Signals of a person, a scheduler, or a machine without memory; others are crashes of FFmpeg."""
_TOLD_CODE = 255
"""Exit code of an FFmpeg that was told to end, and did so in good order."""
_LACKING_CODES = (*(256 - error for error in LACKING), 126, 127)
"""Exit codes of an FFmpeg that got no memory or threads, or whose program could not be loaded."""


class MachineFault(Exception):
    """FFmpeg came to no verdict on the video, for a reason that lies with the machine; another try may go well."""


class LacksMemory(MachineFault):
    """FFmpeg got no memory or threads; that may also lie with a file that asks for too much."""


@dataclass
class Limits:
    """What one FFmpeg may take; it may be given more while it runs."""

    cpu_seconds: float
    memory: int
    """Resident memory in bytes."""
    written: int
    """Bytes of all that it writes."""


@dataclass(frozen=True)
class Ended:
    """How a run of FFmpeg ended."""

    code: int
    """Exit code, or minus the number of the signal that ended it."""
    over: str
    """The limit that it was ended for, a field of `Limits`; empty where it ended by itself."""


def run(
    arguments: Sequence[str], video: BinaryIO, folder: Path, limits: Limits, hear: Callable[[bytes], None]
) -> Ended:
    """Run FFmpeg in `folder`; it inherits the open file `video`. `hear` is called with each line that it says.

    Raises:
        MachineFault: FFmpeg cannot be started, makes no progress, was told to end, or got no memory or threads.
    """
    video.seek(0)  # the place in the file is shared with the run before
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[video.fileno()],
        )
    except OSError as error:
        if error.errno in LACKING:
            raise MachineFault(f"FFmpeg cannot be started ({error.strerror})") from error
        raise
    with process, _Watch(process, limits) as watch:
        assert process.stderr is not None
        for line in _lines(process.stderr.fileno()):
            hear(line)
        code = process.wait()
    if watch.over == "stalled":
        raise MachineFault(f"FFmpeg made no progress for {STALL_SECONDS:.0f} s")
    if not watch.over:
        _check(code)
    return Ended(code, watch.over)


def _lines(pipe: int) -> Iterator[bytes]:
    """What comes through a pipe, line by line, without their ends; a line that is too long comes in pieces."""
    rest, pause = b"", LEAST_PAUSE
    ended = select.poll()
    ended.register(pipe, 0)  # nothing but the end is waited for
    while said := os.read(pipe, LONGEST_LINE):
        *lines, rest = (rest + said).split(b"\n")
        yield from lines
        if len(rest) > LONGEST_LINE:
            yield rest
            rest = b""
        pause = min(2 * pause, MOST_PAUSE) if len(said) < LONGEST_LINE // 4 else max(pause // 2, LEAST_PAUSE)
        ended.poll(pause)
    if rest:
        yield rest


def _check(code: int) -> None:
    if code == _TOLD_CODE or -code in _TOLD:
        raise MachineFault("FFmpeg was told to end")
    if code in _LACKING_CODES:
        raise LacksMemory(f"FFmpeg lacks memory or threads (exit code {code})")


class _Watch:
    """A thread that kills a process once it is over a limit, and on every way out of the context."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self.over = ""
        self._process, self._limits = process, limits
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread left
            self._process.kill()
            raise MachineFault(f"FFmpeg cannot be watched ({error})") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._process.kill()  # of a run that was left by an error; nothing where it has ended

    def _look(self) -> None:
        busy, since = -1.0, time.monotonic()
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended
            child = psutil.Process(self._process.pid)
            while not self._ended.wait(POLL_SECONDS):
                times = child.cpu_times()
                seconds = times.user + times.system
                if seconds > busy:
                    busy, since = seconds, time.monotonic()
                if over := self._beyond(child, seconds, since):
                    self.over = over
                    self._process.kill()
                    return

    def _beyond(self, child: psutil.Process, seconds: float, since: float) -> str:
        if seconds > self._limits.cpu_seconds:
            return "cpu_seconds"
        if child.memory_info().rss > self._limits.memory:
            return "memory"
        if hasattr(child, "io_counters") and child.io_counters().write_chars > self._limits.written:
            return "written"
        return "stalled" if time.monotonic() - since > STALL_SECONDS else ""
