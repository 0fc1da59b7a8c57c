"""A folder of finished pieces that several runs and several projects may share: one run at a time works in it.

A piece is a file whose name begins with the fingerprint of all that it is made from. A project is known by the out that
it makes of its pieces. It leaves a claim, a file with their fingerprints, so that another project, whose pieces are
others, deletes only what nobody needs any more.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.core import files

log = logging.getLogger(__name__)

LOCK = "lock"
"""Name of the lock in a folder that is locked as a whole."""
CLAIM = ".claim"
"""Suffix of a claim."""
PAUSE = 1.0
"""Seconds between two attempts to get a lock that another run holds."""

_held: set[BinaryIO] = set()
"""Files that this process has locked."""


def _let_go() -> None:
    """Close what the parent has locked: its workers outlive it by some seconds when it is killed, and no lock may."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def lock(file: Path) -> Iterator[bool]:
    """Lock a file, made for that, until the context ends; its value is false where another run has it.

    It is deleted in the end. A run that was killed leaves it, which locks nothing.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open("ab")
    except FileNotFoundError:  # the run that had it has finished at this moment and deleted the folder
        yield False
        return
    with opened:
        if not _try_lock(opened.fileno(), file):
            yield False
            return
        _held.add(opened)
        try:
            yield True
        finally:
            _held.remove(opened)
            if _is_at(opened.fileno(), file):  # and not deleted, with its folder, and made anew by another run
                file.unlink()  # before it is free: who has opened it meanwhile sees that it is gone


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other run works in a folder, and keep others out until the context ends."""
    told = False
    while True:
        with lock(folder / LOCK) as got:
            if got:
                yield
                return
        if not told:
            log.info("waiting for another run that works in %s; another machine.scratch would not wait", folder)
        told = True
        time.sleep(PAUSE)


def prune(folder: Path, out: Path, keys: Iterable[str]) -> None:
    """Delete what no project needs: neither that of `out`, which needs the pieces of `keys`, nor another.

    A project whose `out` has no folder any more to lie in needs nothing. Call it within `alone`.
    """
    mine = folder / f"{files.fingerprint(str(out.absolute()))}{CLAIM}"
    files.write_json(mine, {"out": str(out.absolute()), "keys": sorted(set(keys))})
    needed = set()
    for path in folder.glob(f"*{CLAIM}"):
        claim = json.loads(path.read_text(encoding="utf-8"))
        if Path(claim["out"]).parent.is_dir():
            needed |= {path.stem, *claim["keys"]}
    for path in folder.iterdir():
        if path.name != LOCK and path.name[: len(mine.stem)] not in needed:
            files.remove(path)


def _try_lock(opened: int, file: Path) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(opened, file)  # or the run that had it has deleted it


def _is_at(opened: int, file: Path) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(opened), file.stat())
    except FileNotFoundError:
        return False
