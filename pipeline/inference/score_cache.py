"""Finished scores of a model, block of videos by block, until the stage that they are for has them all.

They lie in the scratch folder under the fingerprint of all that they are made from, so that a run that was killed goes
on after its last finished block, a polite end loses nothing, and no other checkpoint, view, video, code or version ever
goes on from them. One run at a time writes them, which a lock sees to; its processes each write blocks of their own.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.core import files
from pipeline.core.errors import UserError

log = logging.getLogger(__name__)

SIZE = 16
"""Videos of a block: what a kill may cost."""
LOCK = "lock"


class Blocks:
    """The scores of one model, float16 (K, C) a video.

    Args:
        videos: how many there are.
        shape: (K, C).
    """

    def __init__(self, folder: Path, videos: int, shape: tuple[int, int]) -> None:
        self.folder, self.videos, self.shape = folder, videos, shape

    @property
    def begun(self) -> bool:
        """Whether there is a block to go on from."""
        return any(self.folder.glob("*.npy"))

    def __len__(self) -> int:
        """The number of blocks."""
        return (self.videos + SIZE - 1) // SIZE

    def span(self, number: int) -> range:
        """The positions of the videos of a block."""
        return range(number * SIZE, min((number + 1) * SIZE, self.videos))

    def count(self, number: int) -> int:
        """How many of a block's videos have scores: it ends early where a run was stopped within it."""
        return len(self._open(number))

    def rows(self, number: int) -> np.ndarray:
        """The scores of a block so far, (n, K, C)."""
        return np.array(self._open(number))

    def scores(self) -> Iterator[np.ndarray]:
        """The scores (K, C) of every video, one after the other; one block is in memory at a time.

        Raises:
            UserError: a block is not finished.
        """
        for number in range(len(self)):
            span, rows = self.span(number), self.rows(number)
            if len(rows) != len(span):
                raise UserError(
                    f"{self._path(number)} holds the scores of {len(rows)} videos, not of {len(span)}, though all were "
                    "scored: it was deleted or damaged, or machine.scratch names no folder that all nodes share. "
                    "Mend that and start again; what is missing is scored."
                )
            yield from rows

    def write(self, number: int, rows: np.ndarray) -> None:
        """Keep the first rows of a block, or all."""
        try:
            with files.aside(self._path(number)) as partial, partial.open("wb") as file:
                np.save(file, rows)
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error.strerror}). What was finished before is kept: make room, or "
                "name another machine.scratch after moving the folder there, and start again."
            ) from error

    def forget(self) -> None:
        """Delete everything, the lock with it."""
        files.remove_at_once(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npy"

    def _open(self, number: int) -> np.ndarray:
        """A block as it lies on disk, (n, K, C), none of it read yet."""
        path, none = self._path(number), np.empty((0, *self.shape), np.float16)
        if not path.is_file():
            return none
        try:
            return np.load(path, mmap_mode="r")
        except (ValueError, EOFError, OSError) as error:  # the disk's doing: it was written aside and renamed
            log.warning("%s is damaged (%s), and is made again", path, error)
            return none


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Within the block, no other run writes to `folder`; false where one does already."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        file = (folder / LOCK).open("ab")
    except FileNotFoundError:  # whoever held it has finished at this moment and deleted the folder
        yield False
        return
    with file:
        if not _locked(file):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # loaders' workers have inherited the open file, and may outlive this


def is_held(folder: Path) -> bool:
    """Whether this process sees the lock that the first one holds."""
    return (folder / LOCK).is_file()


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), Path(file.name).stat())
    except (BlockingIOError, FileNotFoundError):  # of the second, as of another file: its holder has deleted it
        return False
