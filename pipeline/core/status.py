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
_FILE, _LOCK, _ASIDE = ".json", ".alive", ".partial"
_OLD = 60.0
"""Seconds after which a lock without a file is of a process that was killed before it wrote one."""
_KNOWN = {"node", "process", "started", "updated"}
"""What every whole file says."""


class _Own:
    """The file of this process."""

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self.file, self.about = file, about
        self.written = -SECONDS
        self.bar: object = None
        """The bar that the file shows."""

    def write(self, bar: object, progress: Mapping[str, Any]) -> None:
        self.written, self.bar = time.monotonic(), bar
        aside = self.file.with_suffix(_ASIDE)
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
        if not _forgot(file):
            with suppress(FileNotFoundError):  # it has ended at this moment
                found.append(_read(file))
    _sweep(folder / FOLDER)
    return sorted(found, key=lambda one: (one["started"], one["node"], one["process"]))


def _forgot(file: Path) -> bool:
    """Delete the files of a process unless it lives; the value says that it does not."""
    with scratch.lock(file.with_suffix(_LOCK)) as dead:
        if dead:
            files.remove(file)
            files.remove(file.with_suffix(_ASIDE))
        return dead


def _read(file: Path) -> dict[str, Any]:
    """What a process has written; of a file that is damaged, which it writes anew before long, what its name says."""
    with suppress(ValueError):  # of JSON, or of UTF-8
        said = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(said, dict) and said.keys() >= _KNOWN:
            return said
    (node, process, _), last = file.stem.rsplit("-", 2), file.stat().st_mtime
    known = {"node": node, "process": int(process), "started": last, "updated": last}
    return {**known, "stage": "unknown", "note": f"{file} is damaged"}


def _sweep(folder: Path) -> None:
    """Delete what is left of processes that were killed before they had a file, or as they deleted it."""
    for file in (*folder.glob(f"*{_LOCK}"), *folder.glob(f"*{_ASIDE}")):
        with suppress(FileNotFoundError):
            if not file.with_suffix(_FILE).exists() and time.time() - file.stat().st_mtime > _OLD:
                _forgot(file.with_suffix(_FILE))
