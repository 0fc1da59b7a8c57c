"""A tar of files that have neither owner nor time, so that the same files give the same bytes."""

import hashlib
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

BLOCK = 1 << 20
"""Bytes that are written and hashed at once: fewer calls, and fewer switches between threads."""


class TarWriter:
    """A tar that is written, and the hash of its bytes, which need not be read again for it.

    Args:
        path: the file; it is whole when the context ends.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._hash, self._size = path.open("wb", buffering=0), hashlib.sha256(), 0
        self._waiting = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if not error:
                end = 2 * tarfile.BLOCKSIZE
                self._add(bytes(end + -(self._size + end) % tarfile.RECORDSIZE))
                self._flush()

    def add(self, name: str, content: bytes) -> None:
        """Add a file."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._add(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self._add(content)
        self._add(bytes(-len(content) % tarfile.BLOCKSIZE))

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._hash.hexdigest()

    def _add(self, content: bytes) -> None:
        self._waiting += content
        self._size += len(content)
        if len(self._waiting) >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(self._waiting)
        view = memoryview(self._waiting)
        while view:
            view = view[self._file.write(view) :]
        del view
        self._waiting.clear()
