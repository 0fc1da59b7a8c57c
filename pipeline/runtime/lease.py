"""The lease of unfinished work: one run at a time writes it, and all processes of that run agree on what they do.

A run holds the lease while its first process holds the lock of a file. Every decision here is a vote, and each process
gets the same answer, since a process that goes another way would leave the others waiting for it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.scratch import PAUSE, lock
from pipeline.runtime import distributed

log = logging.getLogger(__name__)


@contextmanager
def hold(file: Path, fabric: Fabric, *, wait: bool, shared: bool = False) -> Iterator[bool]:
    """Keep other runs out by the lock of a file until the context ends; every process of a run calls this.

    The context's value says whether this run has the lease. With `wait` it is always true; without, it is false where
    another run has the lease now. Several runs have it at a time where all ask for it `shared`.

    Raises:
        UserError: some process does not see the lock, so that the processes do not share its folder.
    """
    with ExitStack() as held:
        told = False
        while not _acquire(file, held, fabric, shared):
            if not wait:
                yield False
                return
            if not told:
                log.info("waiting for another run that has %s", file)
            told = True
            time.sleep(PAUSE)
        (seeing,) = distributed.add([float(file.is_file())], fabric)
        if seeing < fabric.world_size:
            raise unshared(file.parent)
        yield True


def agree(value: Any, fabric: Fabric) -> bool:
    """Whether a plain value is the same in all processes; each of them gets the same answer."""
    number = int(files.fingerprint(value)[:12], 16)
    (first,) = distributed.add([number * fabric.is_global_zero], fabric)
    (others,) = distributed.add([float(number != first)], fabric)
    return others == 0


def unshared(folder: Path) -> UserError:
    """The error for processes that see different files in a folder."""
    return UserError(
        f"The processes do not see the same files under {folder}: machine.scratch must name a folder that "
        "all nodes share."
    )


def _acquire(file: Path, held: ExitStack, fabric: Fabric, shared: bool) -> bool:
    """Try to lock in the first process, and keep the lock in `held`; all processes get the answer at once.

    No process waits for another longer than a moment: collectives have a time limit, and other runs have none.
    """
    with ExitStack() as attempt:
        got = fabric.is_global_zero and attempt.enter_context(lock(file, shared=shared))
        (holders,) = distributed.add([float(got)], fabric)
        if holders:
            held.enter_context(attempt.pop_all())
        return holders > 0
