"""Damage at rest: a flipped bit of a file whose time and size stay; and shards that never were right."""

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.clips import frame_store, lmdb_pages
from pipeline.core import checksums


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit, in place, as a disk does: hard links see it too, and no time changes."""
    before, mode = path.stat(), path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))
    path.chmod(mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_shard(root: Path, values: Sequence[tuple[str, bytes]]) -> None:
    """Put other values into the shard a.lmdb of a store, with checksums that fit: what a fault of ours would write."""
    (root / "a.lmdb").unlink()
    frame_store.write_shard(root / "a.lmdb", values)
    lmdb_pages.write(root)
    checksums.seal(root)
