"""Checksums of the pages of LMDB files that hold their search trees, in the file pages.tsv beside them.

LMDB trusts these pages: a flipped bit there can make it read outside the file, which kills the process. They are about
a thousandth of a file of frames, so a reader checks all of them before LMDB sees the file. The rest of the file is
values, which have checksums of their own (frame_store.py).
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from pipeline.core import checksums, tsv
from pipeline.core.errors import UserError

FILE = "pages.tsv"
COLUMNS = ("shard", "offset", "bytes", "crc32")
LARGEST = 1 << 16
"""Most bytes of a page."""
_VALUE = 0x04
"""Flag of the first page of a value; all other pages are of the tree, or one of the two meta pages."""
_HEADER = struct.Struct("<QHHI")
"""Number of the page, padding, flags, and in a value's first page the number of its pages."""
_PAGE_SIZE = struct.Struct("<40xI")
"""Where the first meta page has the number of bytes of a page."""


def write(folder: Path) -> None:
    """Write the checksums of all LMDB files in a folder, which must be undamaged."""
    rows = [(path.stem, *page) for path in sorted(folder.glob("*.lmdb")) for page in tree(path)]
    tsv.write(folder / FILE, pd.DataFrame(rows, columns=list(COLUMNS)))


def read(folder: Path) -> dict[str, list[tuple[int, int, int]]]:
    """Shard -> (offset, bytes, CRC-32) of each page of its tree.

    Raises:
        UserError: the file is missing or damaged.
    """
    table = tsv.read(folder / FILE, COLUMNS, "pack", numbers=COLUMNS[1:])
    if not (table["offset"].ge(0) & table["bytes"].between(1, LARGEST)).all():
        raise UserError(f"{folder / FILE} lists pages that no file has. {checksums.REBUILD}")
    return {
        str(shard): list(rows[list(COLUMNS[1:])].itertuples(index=False, name=None))
        for shard, rows in table.groupby("shard")
    }


def tree(path: Path) -> Iterator[tuple[int, int, int]]:
    """The offset, number of bytes and CRC-32 of each page of the tree of an undamaged LMDB file."""
    offset, end = 0, path.stat().st_size
    with path.open("rb") as file:
        (size,) = _PAGE_SIZE.unpack(file.read(_PAGE_SIZE.size))
        while offset < end:
            file.seek(offset)
            page = file.read(size)
            _, _, flags, pages = _HEADER.unpack_from(page)
            if not flags & _VALUE:
                yield offset, size, zlib.crc32(page)
            offset += size * (pages if flags & _VALUE else 1)


def changed(path: Path, pages: Iterable[tuple[int, int, int]]) -> bool:
    """Whether a page of an LMDB file is not as it was when `tree` gave these."""
    with path.open("rb") as file:
        for offset, size, crc in pages:
            file.seek(offset)
            if zlib.crc32(file.read(size)) != crc:
                return True
    return False
