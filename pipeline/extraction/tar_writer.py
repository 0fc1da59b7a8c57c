"""A tar of files that have neither owner nor time, so that the same files give the same bytes."""

import hashlib
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self


class TarWriter:
    """A tar that is written, and the hash of its bytes, which need not be read again for it.

    Args:
        path: the file; it is whole when the context ends.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._hash, self._size = path.open("wb"), hashlib.sha256(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not error:
            end = 2 * tarfile.BLOCKSIZE
            self._write(bytes(end + -(self._size + end) % tarfile.RECORDSIZE))
        self._file.close()

    def add(self, name: str, content: bytes) -> None:
        """Add a file."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self._write(content)
        self._write(bytes(-len(content) % tarfile.BLOCKSIZE))

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._hash.hexdigest()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self._size += len(content)
