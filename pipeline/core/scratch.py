"""A folder of finished pieces that several runs, several projects and several nodes may share.

A piece is a file whose name begins with the fingerprint of all that it is made from. A project is known by the out that
it makes of its pieces. It leaves a claim, a file with their fingerprints, so that another project, whose pieces are
others, deletes only what nobody needs any more. One run at a time works in the folder, or several that do a share each:
these make pieces and delete nothing, and one at a time makes a piece. The last of them gathers what all have made.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from pipeline.core import files
from pipeline.core.share import Share

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
def lock(file: Path, *, shared: bool = False) -> Iterator[bool]:
    """Lock a file, made for that, until the context ends; its value is false where another run has it.

    It is deleted in the end, by the last who has it. A run that was killed leaves it, which locks nothing.

    Args:
        shared: whether others may have it as well, who share it, too.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open("a+b")  # a network's file system wants to read what is shared, and to write what is not
    except FileNotFoundError:  # the run that had it has finished at this moment and deleted the folder
        yield False
        return
    with opened:
        if not _try_lock(opened.fileno(), file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            yield False
            return
        _held.add(opened)
        try:
            yield True
        finally:
            _held.remove(opened)
            # before it is free: who has opened it meanwhile sees that it is gone; and not where another has it, too, or
            # it is deleted, with its folder, and made anew by another run
            if _try_lock(opened.fileno(), file, fcntl.LOCK_EX):
                file.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other run works in a folder, and keep others out until the context ends."""
    with _waiting(folder / LOCK, f"that works in {folder}; another machine.scratch would not wait"):
        yield


@contextmanager
def _beside(folder: Path, out: Path, keys: Iterable[str]) -> Iterator[None]:
    """Work in a folder beside others that do a share each, and keep out who wants to be `alone`."""
    with _waiting(folder / LOCK, f"that works alone in {folder}", shared=True):
        with _waiting(folder / f".{_claim(folder, out).name}.lock", "that begins"):
            _write_claim(folder, out, keys)
        yield


@contextmanager
def piece(folder: Path, key: str) -> Iterator[bool]:
    """Wait until no other run makes a piece; the value says whether there was one, which may have finished it."""
    with _waiting(folder / f".{key}.lock", f"that makes {folder / key}") as waited:
        yield waited


def prune(folder: Path, out: Path, keys: Iterable[str]) -> None:
    """Delete what no project needs: neither that of `out`, which needs the pieces of `keys`, nor another.

    A project whose `out` has no folder any more to lie in needs nothing. Call it within `alone`.
    """
    _write_claim(folder, out, keys)
    length = len(_claim(folder, out).stem)
    needed = set().union(*map(_claimed, folder.glob(f"*{CLAIM}")))
    for path in folder.iterdir():
        if path.name.endswith(".lock"):
            with lock(path):  # deletes it, unless a node of a run that was killed is still at the piece
                continue
        if path.name != LOCK and path.name[:length] not in needed:
            files.remove(path)


def _claimed(claim: Path) -> set[str]:
    """The claim and the pieces that it asks for; nothing where its project is gone."""
    try:
        says = json.loads(claim.read_bytes())
        there, keys = Path(says["out"]).parent.is_dir(), set(says["keys"])
    except (ValueError, LookupError, TypeError):  # by the disk: it was written aside and renamed
        log.warning("%s is damaged: the project that left it makes its pieces again", claim)
        return set()
    return {claim.stem, *keys} if there else set()


class Piece(Protocol):
    """Something that is made once and kept."""

    @property
    def key(self) -> str:
        """The fingerprint of all that it is made from."""


P = TypeVar("P", bound=Piece)


def make_share(
    share: Share,
    folder: Path,
    out: Path,
    pieces: Sequence[P],
    make: Callable[[Sequence[P]], None],
    is_there: Callable[[P], bool],
) -> bool:
    """Make a share of the pieces, beside other runs that make theirs; whether all pieces are there then.

    Args:
        out: what is made of all pieces in the end.
        make: called once with the pieces of the share.
        is_there: whether a piece is there, as far as that is seen without reading it.
    """
    with _beside(folder, out, [each.key for each in pieces]):
        make(share.part(pieces))
    lacking = sum(not is_there(each) for each in pieces)
    if lacking:
        log.info("%d of %d shards are not there yet; who makes the last of them writes %s", lacking, len(pieces), out)
    return not lacking


def _claim(folder: Path, out: Path) -> Path:
    return folder / f"{files.fingerprint(str(out.absolute()))}{CLAIM}"


def _write_claim(folder: Path, out: Path, keys: Iterable[str]) -> None:
    files.write_json(_claim(folder, out), {"out": str(out.absolute()), "keys": sorted(set(keys))})


@contextmanager
def _waiting(file: Path, other: str, *, shared: bool = False) -> Iterator[bool]:
    """Have the lock of a file, for which another run is waited for; the value says whether there was one."""
    waited = False
    while True:
        with lock(file, shared=shared) as got:
            if got:
                yield waited
                return
        if not waited:
            log.info("waiting for another run %s", other)
        waited = True
        time.sleep(PAUSE)


def _try_lock(opened: int, file: Path, how: int) -> bool:
    try:
        fcntl.flock(opened, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(opened, file)  # or the run that had it has deleted it


def _is_at(opened: int, file: Path) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(opened), file.stat())
    except FileNotFoundError:
        return False
