"""The lease of a score cache: one run at a time writes it, and all processes of that run agree on what they do.

A run holds the lease while its first process holds a lock in the cache's folder. Every decision here is a vote, and
each process gets the same answer, since a process that goes another way would leave the others waiting for it.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lightning_fabric import Fabric

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.runtime import distributed

log = logging.getLogger(__name__)

LOCK = "lock"
"""Name of the lock in a cache's folder."""
PAUSE = 1.0
"""Seconds between two attempts to get a lock that another run holds."""


@contextmanager
def hold(folder: Path, fabric: Fabric, *, wait: bool) -> Iterator[bool]:
    """Keep other runs from writing to a cache's folder until the context ends; every process of a run calls this.

    The context's value says whether this run has the lease. With `wait` it is always true; without, it is false where
    another run has the lease now.

    Raises:
        UserError: some process does not see the lock, so that the processes do not share the folder.
    """
    with ExitStack() as held:
        told = False
        while not _acquire(folder, held, fabric):
            if not wait:
                yield False
                return
            if not told:
                log.info("waiting for another run that writes %s", folder)
            told = True
            time.sleep(PAUSE)
        (seeing,) = distributed.add([float((folder / LOCK).is_file())], fabric)
        if seeing < fabric.world_size:
            raise unshared(folder)
        yield True


def agree(value: Any, fabric: Fabric) -> bool:
    """Whether a plain value is the same in all processes; each of them gets the same answer."""
    number = int(files.fingerprint(value)[:12], 16)
    (first,) = distributed.add([number * fabric.is_global_zero], fabric)
    (others,) = distributed.add([float(number != first)], fabric)
    return others == 0


def unshared(folder: Path) -> UserError:
    """The error for processes that see different files in a cache's folder."""
    return UserError(
        f"The processes do not see the same files under {folder}: machine.scratch must name a folder that "
        "all nodes share."
    )


@contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Lock a folder, which is made if need be, until the context ends; its value is false where another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        file = (folder / LOCK).open("ab")
    except FileNotFoundError:  # the run that had it has finished at this moment and deleted the folder
        yield False
        return
    with file:
        if not _try_lock(file):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # loaders' workers have inherited the open file, and may outlive this


def _acquire(folder: Path, held: ExitStack, fabric: Fabric) -> bool:
    """Try to lock in the first process, and keep the lock in `held`; all processes get the answer at once.

    No process waits for another longer than a moment: collectives have a time limit, and other runs have none.
    """
    with ExitStack() as attempt:
        got = fabric.is_global_zero and attempt.enter_context(lock(folder))
        (holders,) = distributed.add([float(got)], fabric)
        if holders:
            held.enter_context(attempt.pop_all())
        return holders > 0


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), Path(file.name).stat())
    except (BlockingIOError, FileNotFoundError):  # not found, or another file: the run that had it has deleted it
        return False
