"""Files of torch.save of before torch 1.6 that hold objects beside the tensors, read as torch_zip reads today's.

Such a file is five pickles one after another (a magic number, a version, the machine, the content, the keys of the
storages), and then the numbers of each storage, behind their count.
"""

import mmap
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from pipeline.pretrained import safe_pickle, torch_zip

COUNT = 8
"""Bytes of the count in front of the numbers of a storage."""


def load(path: Path) -> Any:
    """The content of a file, with `Inert` objects for all that is neither data nor tensors.

    Raises:
        pickle.UnpicklingError, or another of `safe_pickle.DAMAGE`: it is damaged, or of a layout that is not known.
    """
    storages: dict[str, Tensor] = {}
    size = path.stat().st_size

    def storage(key: str, kind: str, count: int) -> Tensor:
        dtype = torch_zip.DTYPES[kind]
        if not 0 <= count * dtype.itemsize <= size:
            raise pickle.UnpicklingError(f"a storage of {count} numbers in {size} bytes")
        return storages.setdefault(key, torch.zeros(count, dtype=dtype))

    with path.open("rb") as file:
        _, _, machine, content, keys = (_unpickled(file, storage) for _ in range(5))
        if not machine.get("little_endian", True):
            raise pickle.UnpicklingError("its numbers are big-endian")
        for key in keys:
            _fill(storages[key], file)
    return safe_pickle.plain(content)


def _unpickled(file: BinaryIO, storage: Any) -> Any:
    """The next pickle in a file, which is then read up to its end."""
    start = file.tell()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        content.seek(start)
        safe_pickle.weigh(content)
    reader = _Unpickler(file, encoding="utf-8")
    reader.storage = storage
    return reader.load()


def _fill(storage: Tensor, file: BinaryIO) -> None:
    """Read the numbers of a storage, in its place."""
    count = int.from_bytes(file.read(COUNT), "little")
    raw = bytearray(file.read(storage.nbytes))
    if count != len(storage) or len(raw) != storage.nbytes:
        raise EOFError(f"{len(raw)} bytes of a storage of {storage.nbytes}")
    if raw:
        storage.copy_(torch.frombuffer(raw, dtype=storage.dtype))


class _Unpickler(torch_zip.Unpickler):
    def persistent_load(self, pid: Any) -> Tensor:
        """The storage of a tensor, which gets its numbers later."""
        _, kind, key, _, count, view = pid
        if not isinstance(kind, torch_zip.Kind) or not isinstance(key, str) or view is not None:
            raise pickle.UnpicklingError("a storage of no known kind")
        found: Tensor = self.storage(key, kind.name, int(count))
        return found
