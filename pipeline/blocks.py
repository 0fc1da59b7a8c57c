"""Finished scores of a model, block of videos by block, until the stage that they are for has them all.

They lie in the scratch folder under the fingerprint of all that they are made from, so that a run that was killed goes
on after its last finished block, a polite end loses nothing, and no other checkpoint, view, video or code ever goes on
from them. One run at a time writes them, which a lock sees to; its processes each write blocks of their own.
"""

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import pipeline
from pipeline import work
from pipeline.errors import BadInput

log = logging.getLogger(__name__)

SIZE = 16
"""Videos of a block: what a kill may cost."""


class Blocks:
    """The scores of one model, float16 (K, C) a video.

    Args:
        videos: how many there are.
        shape: (K, C).
    """

    def __init__(self, folder: Path, videos: int, shape: tuple[int, int]) -> None:
        self.folder, self.videos, self.shape = folder, videos, shape

    def __len__(self) -> int:
        """The number of blocks."""
        return (self.videos + SIZE - 1) // SIZE

    def span(self, number: int) -> range:
        """The positions of the videos of a block."""
        return range(number * SIZE, min((number + 1) * SIZE, self.videos))

    def rows(self, number: int) -> np.ndarray:
        """The scores of a block so far, (n, K, C): it ends early where a run was stopped within it."""
        path = self._path(number)
        if not path.is_file():
            return np.empty((0, *self.shape), np.float16)
        try:
            rows = np.load(path)
        except (ValueError, EOFError, OSError) as error:  # the disk's doing: it was written aside and renamed
            log.warning("%s is damaged (%s), and is made again", path, error)
            return np.empty((0, *self.shape), np.float16)
        return rows

    def write(self, number: int, rows: np.ndarray) -> None:
        """Keep the first rows of a block, or all."""
        try:
            with work.aside(self._path(number)) as partial, partial.open("wb") as file:
                np.save(file, rows)
        except OSError as error:
            raise BadInput(
                f"{self.folder} cannot be written ({error.strerror}). What was finished before is kept: make room, or "
                "name another machine.scratch after moving the folder there, and start again."
            ) from error

    def all(self) -> np.ndarray:
        """Every score, (V, K, C); all blocks must be finished."""
        scores = np.empty((self.videos, *self.shape), np.float16)
        for number in range(len(self)):
            span = self.span(number)
            scores[span.start : span.stop] = self.rows(number)
        return scores

    def forget(self) -> None:
        """Delete everything."""
        work.remove(self.folder)
        work.remove(_lock(self.folder))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npy"


@contextmanager
def hold(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Within the block, no other run writes to `folder`; false where one does and is not waited for."""
    path = _lock(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("ab") as file:
            if not _locked(file.fileno()):
                if not wait:
                    yield False
                    return
                log.info("waiting for another run that writes %s", folder)
                fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue  # whoever held it has finished and deleted it
            try:
                yield True
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # loaders' workers have inherited the open file, and may outlive this
            return


def code(arch: str) -> dict[str, str]:
    """The hashes of the code that this process runs for a model of architecture `arch`.

    They do not depend on which other models it runs: all layers count, and of the models this one.
    """
    root = Path(pipeline.__file__).parent
    loaded = [root / f"{name.partition('.')[2]}.py" for name in sys.modules if name.startswith("pipeline.")]
    files = {file for file in loaded if file.is_file()}  # of folders, none
    files |= {*root.glob("layers/*.py"), root / "models" / f"{arch}.py"}
    return {file.relative_to(root).as_posix(): work.file_hash(file) for file in sorted(files)}


def folder_of(scratch: Path, model: str, *parts: Any) -> Path:
    """The folder of a model's blocks; `parts` are plain values."""
    return scratch / "infer" / f"{model}-{work.fingerprint(*parts)}"


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
