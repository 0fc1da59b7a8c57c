"""What running stages are at: a small file a process in the scratch folder, for `pipeline watch`.

A process has the lock of its file while it lives. So one that was killed is told from one at work, on whatever node of
a shared scratch folder it was, and what it left is deleted by whoever looks.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.core import files, scratch

FOLDER = "status"
"""Name of the folder in the scratch folder."""
SECONDS = 1.0
"""Seconds between two writes of a file, at least; the end of a bar that was written is written besides."""
_FILE, _LOCK = ".json", ".alive"


class _Own:
    """The file of this process."""

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self.file, self.about = file, about
        self.written = -SECONDS
        self.bar: object = None
        """The bar that the file shows."""

    def write(self, bar: object, progress: Mapping[str, Any]) -> None:
        self.written, self.bar = time.monotonic(), bar
        aside = self.file.with_suffix(".partial")
        with suppress(OSError):  # a full disk ends what has to write there, and not whoever says what it is at
            aside.write_text(json.dumps({**self.about, "updated": time.time(), **progress}), encoding="utf-8")
            aside.replace(self.file)


_own: _Own | None = None


def _not_ours() -> None:
    """A forked process has no file: that of its parent says what both are at."""
    global _own  # noqa: PLW0603 - a process has one file
    _own = None


os.register_at_fork(after_in_child=_not_ours)


@contextmanager
def reported(folder: Path, about: Mapping[str, Any]) -> Iterator[None]:
    """Keep a file in the scratch folder `folder` until the context ends, with what a process is: plain values."""
    global _own  # noqa: PLW0603
    file = folder / FOLDER / f"{platform.node()}-{os.getpid()}-{uuid4().hex[:8]}{_FILE}"
    this = {"node": platform.node(), "process": os.getpid(), "folder": str(Path.cwd()), "started": time.time()}
    with ExitStack() as stack:
        with suppress(OSError):  # who needs the folder says why it cannot be written
            stack.enter_context(scratch.lock(file.with_suffix(_LOCK)))
            stack.callback(files.remove, file)
            _own = _Own(file, {**about, **this})
            _own.write(None, {})
        try:
            yield
        finally:
            _own = None


def note(bar: object, progress: Callable[[], Mapping[str, Any]]) -> None:
    """Write how far a bar of this process is, if it has a file, and the last write is not just past."""
    if _own and time.monotonic() - _own.written >= SECONDS:
        _own.write(bar, progress())


def ended(bar: object) -> None:
    """Take a bar that has ended out of the file, if it is there."""
    if _own and _own.bar is bar:
        _own.write(None, {})


def running(folder: Path) -> list[dict[str, Any]]:
    """What the processes that live have written in the scratch folder `folder`, by when they started.

    What others have left is deleted.
    """
    found = []
    for file in (folder / FOLDER).glob(f"*{_FILE}"):
        with scratch.lock(file.with_suffix(_LOCK)) as dead:
            if dead:
                files.remove(file)
                continue
        with suppress(FileNotFoundError):  # it has ended at this moment
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda one: (one["started"], one["node"], one["process"]))
