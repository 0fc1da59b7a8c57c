"""What one network says of videos (scores, features), in chunks of videos, until a stage has all and writes its files.

A cache is a folder under the scratch folder, named by the fingerprint of all that it is made from: a run that was
killed goes on after its last finished chunk, a run that was asked to stop loses nothing, and what is of another
checkpoint, view, video, code or library version is never used. One run at a time writes a cache (runtime/lease.py), or
several that do a share each; each of their processes writes chunks of its own.
"""

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.core import files, npy
from pipeline.core.errors import UserError
from pipeline.core.share import Share

log = logging.getLogger(__name__)

CHUNK = 16
"""Number of videos in a chunk; a kill costs each process one chunk at most."""
_CRC = struct.Struct("<I")
"""What the file of a chunk ends with: the CRC-32 of the array before it."""


class ChunkCache:
    """An array of float16 for each video; videos and chunks are numbered from 0.

    Args:
        folder: where the chunks lie; it need not exist yet.
        videos: number of videos.
        shape: of a video's array, such as (K, C), the numbers of views and of classes.
    """

    def __init__(self, folder: Path, videos: int, shape: tuple[int, ...]) -> None:
        self.folder, self.videos, self.shape = folder, videos, shape

    @property
    def lock(self) -> Path:
        """The file whose lock keeps other runs out."""
        return self.folder / "lock"

    def lock_of(self, share: Share) -> Path:
        """The file whose lock keeps out other runs that do the same share."""
        return self.folder / f"lock-{share.number}-of-{share.of}"

    @property
    def begun(self) -> bool:
        """Whether there is a chunk, finished or not."""
        return any(self.folder.glob("*.npy"))

    @property
    def chunks(self) -> int:
        """The number of chunks, once all are written."""
        return (self.videos + CHUNK - 1) // CHUNK

    def span(self, chunk: int) -> range:
        """The numbers of a chunk's videos."""
        return range(chunk * CHUNK, min((chunk + 1) * CHUNK, self.videos))

    def count(self, chunk: int) -> int:
        """The number of videos at the start of a chunk that are done: all, unless a run stopped or a disk erred."""
        return len(self._open(chunk))

    @property
    def lacking(self) -> int:
        """The number of chunks that are not finished."""
        return sum(self.count(chunk) < len(self.span(chunk)) for chunk in range(self.chunks))

    def rows(self, chunk: int) -> np.ndarray:
        """The arrays of a chunk so far, float16 (n, ...), which may be 0 videos."""
        return np.array(self._open(chunk))

    def all(self) -> Iterator[np.ndarray]:
        """The array of every video, one after the other; memory holds one chunk at a time.

        Raises:
            UserError: a chunk is not finished.
        """
        for chunk in range(self.chunks):
            span, rows = self.span(chunk), self.rows(chunk)
            if len(rows) != len(span):
                raise UserError(
                    f"{self._path(chunk)} holds {len(rows)} videos, not {len(span)}, though all were done: it was "
                    "deleted or damaged, or machine.scratch names no folder that all nodes share. Mend that and start "
                    "again; what is missing is made."
                )
            yield from rows

    def write(self, chunk: int, rows: np.ndarray) -> None:
        """Write the arrays (n, ...) of a chunk's first n videos, or of all.

        Raises:
            UserError: the disk is full, or the folder cannot be written.
        """
        try:
            np.save(content := io.BytesIO(), rows)
            with files.aside(self._path(chunk)) as partial:
                partial.write_bytes(content.getvalue() + _CRC.pack(zlib.crc32(content.getvalue())))
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error.strerror}). What was finished before is kept: make room, or "
                "name another machine.scratch after moving the folder there, and start again."
            ) from error

    def delete(self) -> None:
        """Delete the folder, with the lock in it."""
        files.remove_at_once(self.folder)

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.npy"

    def _open(self, chunk: int) -> np.ndarray:
        """A chunk, (n, ...); of no video, where there is none or its bytes have changed."""
        path, none = self._path(chunk), np.empty((0, *self.shape), np.float16)
        if not path.is_file():
            return none
        content = memoryview(path.read_bytes())
        try:
            if content[-_CRC.size :] == _CRC.pack(zlib.crc32(content[: -_CRC.size])):
                return npy.read(path)
        except ValueError:  # four bytes may fit what is not even an array
            pass
        log.warning("%s is damaged, and is made again", path)  # by the disk: it was written aside and renamed
        return none
