"""FrameStore: the JPEGs of a corpus in LMDB files, written once, read by (video, frame indices).

Each frame shard is one LMDB file (and one for each smaller size of short_sides.py: a.lmdb, a.160.lmdb), and each video
one value in it, so that a clip is one sequential read:

    frames, width, height     3 x uint32, little-endian
    offsets                   (frames + 1) x uint32, of each JPEG's first byte, counted from the value's start
    checksums                 frames x uint32, the CRC-32 of each JPEG
    JPEGs                     one after another

The same input gives the same bytes: keys are sorted, transactions have a fixed size, and the memory map, whose size is
part of the file, starts at a fixed size and doubles.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import lmdb
import numpy as np

from pipeline.clips import lmdb_pages, short_sides
from pipeline.core import checksums, faults, files, frame_index
from pipeline.core.errors import UserError

SHARDS = "shards.tsv"
"""File that lists each LMDB file and the hash of what it was packed from."""
FIRST_MAP = 1 << 22
"""Bytes of the memory map that a new LMDB file starts with."""
BATCH = 64
"""Number of videos in a transaction."""
_HEADER = struct.Struct("<3I")
_LARGEST = 2**32 - 1
_SIDE = re.compile(r"[^.]+\.([0-9]{1,5})")


def shard_name(shard: str, side: int | None) -> str:
    """The name of a shard's LMDB file, without its suffix; `side` is that of a smaller size. No shard has a dot."""
    return f"{shard}.{side}" if side else shard


def write_shard(path: Path, videos: Iterable[tuple[str, bytes]]) -> None:
    """Write one LMDB file from pairs (id of the video, value), which must come sorted by the bytes of the id."""
    environment = lmdb.open(str(path), subdir=False, map_size=FIRST_MAP, lock=False, sync=False, readahead=False)
    try:
        batch: list[tuple[str, bytes]] = []
        for pair in videos:
            batch.append(pair)
            if len(batch) == BATCH:
                _commit(environment, batch)
                batch = []
        _commit(environment, batch)
        environment.sync(True)
    finally:
        environment.close()


def encode(jpegs: Sequence[bytes], width: int, height: int) -> bytes:
    """The value of one video: its JPEGs, all of `width` x `height` pixels, behind their offsets.

    Raises:
        UserError: they take 4 GiB or more.
    """
    start = _start(len(jpegs))
    offsets = start + np.concatenate([[0], np.cumsum([len(jpeg) for jpeg in jpegs], dtype=np.int64)])
    if offsets[-1] > _LARGEST:
        raise UserError(
            f"{len(jpegs)} frames make {offsets[-1]:,} bytes, and a video may have {_LARGEST:,}. "
            "Cut the video, or lower extract.short_side or the JPEG quality."
        )
    sums = np.array([zlib.crc32(jpeg) for jpeg in jpegs], "<u4").tobytes()
    return b"".join([_HEADER.pack(len(jpegs), width, height), offsets.astype("<u4").tobytes(), sums, *jpegs])


@dataclass(frozen=True)
class _Index:
    """What a store holds, in memory once for all sizes."""

    shard_of: dict[str, str]
    """Video -> its shard."""
    frames_of: dict[str, int]
    """Video -> the number of its frames."""
    pages_of: dict[str, list[tuple[int, int, int]]]
    """Name of an LMDB file, without its suffix -> the pages of its tree."""
    sides: tuple[int, ...]
    """The smaller sizes."""

    @classmethod
    def read(cls, root: Path, stage: str) -> "_Index":
        index, pages = frame_index.read_packed(root / frame_index.FILE, stage).set_index("video"), lmdb_pages.read(root)
        sides = {side for name in pages if (side := _side_of(name))}
        return cls(index["shard"].to_dict(), index["frames"].to_dict(), pages, tuple(sorted(sides)))


class FrameStore:
    """The packed frames of a corpus: JPEGs by video and frame index.

    LMDB files are opened at their first use, read-only and without a lock file, so that forked or spawned workers can
    share a store, which may lie in a read-only folder.

    Args:
        root: the folder that stage `pack` wrote.
        side: the smaller size that is read, as `at` chooses it; None for the size of the extracted frames.
        index: that of the folder, where it has been read.

    Raises:
        UserError: the index is missing or damaged.
    """

    stage: ClassVar = "pack"
    """What makes the folder."""
    holds: ClassVar[Literal["frames", "flow"]] = "frames"
    ledger: ClassVar = "data/broken.tsv"
    """The list of the videos that it lacks."""

    def __init__(self, root: Path, side: int | None = None, index: "_Index | None" = None) -> None:
        self.root, self.side = root, side
        self._index = index or _Index.read(root, self.stage)
        self._readers: dict[str, lmdb.Transaction] = {}
        self._smaller = {} if side else {each: FrameStore(root, each, self._index) for each in self._index.sides}

    @classmethod
    def of_file(cls, path: Path, frames: Mapping[str, int]) -> "FrameStore":
        """The videos of one LMDB file, whose bytes have been checked; `frames` has the number of frames of each."""
        return cls(path.parent, index=_Index(dict.fromkeys(frames, path.stem), dict(frames), {}, ()))

    def __getstate__(self) -> dict[str, object]:
        """The state without open files: a spawned worker opens its own."""
        return {**self.__dict__, "_readers": {}}

    def __contains__(self, video: str) -> bool:
        """Whether the video has frames."""
        return video in self._index.shard_of

    def broken(self, video: str) -> bool:
        """Whether the video gave no frame."""
        return video not in self

    def at(self, side: int) -> "FrameStore":
        """The frames for who shows them at a short side of `side` pixels, at the smallest size that suffices."""
        chosen = short_sides.choose(self._smaller, side)
        return self if chosen is None else self._smaller[chosen]

    @property
    def videos(self) -> list[str]:
        """The ids of all videos that have frames, sorted."""
        return list(self._index.shard_of)

    def frames(self, video: str) -> int:
        """The number of frames of a video, from the index."""
        return self._index.frames_of[self._known(video)]

    def read(self, video: str, indices: Sequence[int]) -> list[memoryview]:
        """The JPEGs of some frames, counted from 0, in the order asked for; no byte is copied.

        Raises:
            UserError: the video has no frames, the shard is damaged or lacks it.
            IndexError: the video has no such frame.
        """
        value, count = self._value(self._known(video)), self._index.frames_of[video]
        if len(value) < _start(count) or _HEADER.unpack_from(value)[0] != count:
            raise self.damaged(video, f"its value does not hold the {count} frames that the index lists")
        offsets, sums = np.split(np.frombuffer(value, "<u4", count=2 * count + 1, offset=_HEADER.size), [count + 1])
        if offsets[-1] != len(value):
            raise self.damaged(video, "its frames do not end where its value ends")
        if len(indices) and not 0 <= min(indices) <= max(indices) < count:
            raise IndexError(f"{video} has frames 0..{count - 1}, not {min(indices)}..{max(indices)}")
        jpegs = [value[offsets[i] : offsets[i + 1]] for i in indices]
        for i, jpeg in zip(indices, jpegs, strict=True):
            if zlib.crc32(jpeg) != sums[i]:
                raise self.damaged(video, f"frame {i} has not the bytes that were written")
        return jpegs

    def damaged(self, video: str, why: object) -> UserError:
        """The error for a value that is damaged; callers of `read` raise it for a JPEG that does not decode."""
        return _damaged(self._path(video), f"video {video!r}: {why}", self.stage)

    def content_key(self, sides: Iterable[int] = ()) -> str:
        """A hash of what the frames were packed from, computed without reading them.

        Args:
            sides: of the frames that `at` gives for these short sides; without any, of this size. It does not depend on
                what other sizes there are.
        """
        if keys := sorted({self.at(side).content_key() for side in sides}):
            return keys[0] if len(keys) == 1 else files.fingerprint(keys)
        first, *lines = checksums.text(self.root / SHARDS).splitlines(keepends=True)
        own = [line for line in lines if _side_of(line.partition("\t")[0]) == self.side]
        texts = [(self.root / frame_index.FILE).read_text(encoding="utf-8"), "".join([first, *own])]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()

    def _path(self, video: str) -> Path:
        return self.root / f"{shard_name(self._index.shard_of[video], self.side)}.lmdb"

    def _known(self, video: str) -> str:
        if video not in self._index.shard_of:
            raise UserError(
                f"{self.root} has no video {video!r}. If it is new, run `dvc repro {self.stage}`; "
                f"if there is none of it, {self.ledger} says why."
            )
        return video

    def _value(self, video: str) -> memoryview:
        shard = self._index.shard_of[video]
        if shard not in self._readers:
            path = self._path(video)
            self._readers[shard] = _open(path, self._index.pages_of.get(path.stem, []), self.stage)
        try:
            value = self._readers[shard].get(video.encode())
        except lmdb.Error as error:
            if faults.told(error) is not None:
                raise
            raise self.damaged(video, error) from error
        if value is None:
            raise self.damaged(video, "the index lists it, the shard lacks it")
        return memoryview(value)


_open_files: dict[tuple[int, int], lmdb.Transaction] = {}
"""Readers of this process, by device and inode; they stay open until it ends. `FrameStore.read` returns views of the
mapped file, which closing it would unmap; and LMDB must not open a file twice in one process, not even in a forked
child. A child uses its parent's readers, which without a lock file are only memory mapped for reading."""


def _start(frames: int) -> int:
    """Where the first JPEG of a value begins."""
    return _HEADER.size + 4 * (2 * frames + 1)


def _side_of(name: str) -> int | None:
    """The smaller size of the LMDB file of a `shard_name`; None for the largest."""
    found = _SIDE.fullmatch(name)
    return int(found[1]) if found else None


def _open(path: Path, pages: Sequence[tuple[int, int, int]], stage: str) -> lmdb.Transaction:
    found = path.stat() if path.is_file() else None
    reader = _open_files.get((found.st_dev, found.st_ino)) if found else None
    if reader is None:
        if not found or lmdb_pages.changed(path, pages) or not _whole(path):
            raise _damaged(path, "it is missing, cut short, or not as it was written", stage)
        environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False, max_spare_txns=0)
        reader = _open_files[found.st_dev, found.st_ino] = environment.begin(buffers=True)
    return reader


def _whole(path: Path) -> bool:
    """Whether it is an LMDB file with all its pages: reading past the end of a mapped file kills the process."""
    if not path.is_file():
        return False
    try:
        with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment:
            pages = environment.info()["last_pgno"] + 1
            return path.stat().st_size >= pages * environment.stat()["psize"]
    except lmdb.Error as error:
        if faults.told(error) is not None:
            raise
        return False


def _damaged(path: Path, why: str, stage: str) -> UserError:
    return UserError(
        f"The LMDB shard {path} is damaged ({why}). Where it is missing, `dvc repro {stage}` makes it again. "
        f"{checksums.REBUILD}"
    )


def _commit(environment: lmdb.Environment, batch: list[tuple[str, bytes]]) -> None:
    """Write a batch in one transaction; the map is doubled until it fits.

    LMDB says that it does not fit when all of it but a page has been written, so what is certain is foreseen.
    """
    page = environment.stat()["psize"]
    least = sum(len(value) // page for _, value in batch) + environment.info()["last_pgno"] + 1
    while environment.info()["map_size"] < least * page:
        _double(environment)
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for video, value in batch:
                    transaction.put(video.encode(), value)
            return
        except lmdb.MapFullError:
            _double(environment)


def _double(environment: lmdb.Environment) -> None:
    environment.set_mapsize(environment.info()["map_size"] * 2)
