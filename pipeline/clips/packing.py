"""Packing: tar shards of frames -> LMDB files, one for each size of each, a file at a time in each of some processes.

A shard whose tar was packed before is linked: it is kept in the scratch folder under the hash of its tar and of itself.
Where tars are dropped (`extract.keep: false`), the folder of frames has the LMDB files in their place, and the hashes
of the tars that they were packed from, so that the out is the same to the byte.
"""

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.clips import frame_store, jpeg, lmdb_pages, tar_shards
from pipeline.clips.frame_store import SHARDS, FrameStore
from pipeline.clips.short_sides import Smaller
from pipeline.core import checksums, faults, files, frame_index, processes, ray_engine, scratch, tsv
from pipeline.core.errors import UserError
from pipeline.core.progress_bar import progress_bar
from pipeline.core.share import Share

FORMAT = 3
"""Version of the layout; raise it when the layout changes, so that no shard of the old one is used again."""
TARS = f"tars.{checksums.NAME}"
"""List of the hashes of tars that were dropped; LMDB files lie in their place."""
CONTENT = 1
"""Version of what is packed, whatever the layout: as long as it stays, what was trained on a shard is of the same."""


@dataclass(frozen=True)
class TarShard:
    """A tar of frames, which becomes one LMDB file for each size."""

    tar: Path
    """The file, which is gone where it was dropped."""
    members: pd.DataFrame
    """The rows of the index for its videos."""
    sha256: str
    """Its hash, which the list beside it says; where that does not name it, the hash that was found."""
    dropped: bool = False
    """Whether its LMDB file lies in its place."""
    smaller: Smaller | None = None
    """The size of its frames in this LMDB file; None for that of the tar."""

    @property
    def name(self) -> str:
        """The LMDB file's, without its suffix."""
        return frame_store.shard_name(self.tar.stem, self.smaller and self.smaller.side)

    @property
    def key(self) -> str:
        """Fingerprint of all that the LMDB file is made from, under which it is kept."""
        encoder = [importlib.metadata.version("simplejpeg")] if self.smaller else []
        return files.fingerprint(FORMAT, self.sha256, *(self.smaller or ()), *encoder)

    @property
    def content(self) -> str:
        """Hash of what the frames are, whatever the layout."""
        return files.fingerprint(CONTENT, self.sha256, *(self.smaller or ()))


class Finished(NamedTuple):
    """An LMDB file that is to lie in an out."""

    name: str
    """Its name there, without the suffix."""
    path: Path
    sha256: str
    content: str
    """Hash of what it holds, whatever the layout."""


def fill(folder: Path, shards: Sequence[Finished], index: pd.DataFrame) -> None:
    """Link LMDB files into a new folder, and write what a FrameStore reads beside them.

    Args:
        index: a row for each video, with the `frame_index.PACKED_COLUMNS`.
    """
    for shard in shards:
        files.link(shard.path, folder / f"{shard.name}.lmdb")
    frame_index.write_packed(folder / frame_index.FILE, index)
    contents = {"shard": [shard.name for shard in shards], "key": [shard.content for shard in shards]}
    tsv.write(folder / SHARDS, pd.DataFrame(contents))
    lmdb_pages.write(folder)
    checksums.seal(folder, {f"{shard.name}.lmdb": shard.sha256 for shard in shards})


def pack(
    frames: Path, out: Path, store: Path, workers: int = 1, share: Share | None = None,
    smaller: Sequence[Smaller] = (), *, on_ray: bool = False,
) -> int | None:  # fmt: skip
    """Pack the tar shards in `frames` (with their index) into LMDB shards in `out`, and return the number of videos.

    Finished shards are kept in `store` under the hash of their tar and of themselves, and linked into `out`. With a
    share, only its shards are packed; other calls pack the others in the same `store`. The call after which all are
    there writes `out`, and any other returns None.

    Args:
        workers: number of processes, each of which packs a shard at a time; it changes no byte.
        smaller: sizes that are packed besides that of the tars.
        on_ray: whether the nodes of a Ray cluster pack, a shard for each CPU at a time.

    Raises:
        UserError: a tar is damaged or does not hold what the index says.
    """
    index = frame_index.read(frames / frame_index.FILE)
    shards = plan(frames, index, smaller)
    packed: dict[str, tuple[Path, str]] = {}

    def make_all(wanted: Sequence[TarShard]) -> None:
        different = {shard.key: shard for shard in wanted}.values()  # tars without a video are all the same
        if on_ray:
            made = ray_engine.each(partial(_make_on_node, store), different, store)
        else:
            made = processes.each(partial(make, store), different, workers)
        with progress_bar(total=sum(len(shard.members) for shard in wanted), desc="pack", unit="video") as bar:
            for shard, file in made:
                packed[shard.key] = file
                bar.update(len(shard.members))

    if share and not scratch.make_share(share, store, out, shards, make_all, partial(_is_there, store)):
        return None
    with scratch.alone(store):
        scratch.prune(store, out, [shard.key for shard in shards])
        make_all(shards)
        _publish(shards, index, packed, out)
    return len(index)


def plan(frames: Path, index: pd.DataFrame, smaller: Sequence[Smaller] = ()) -> list[TarShard]:
    """The shards of a folder of tars, sorted by name, each at the size of its tar and then at smaller ones.

    Args:
        frames: the folder.
        index: the folder's.
        smaller: the smaller sizes.

    Raises:
        UserError: a tar is missing, or the list of their hashes is damaged.
    """
    dropped, sums = (frames / TARS).is_file(), _sums(frames)
    tars = [frames / name for name in sorted(sums)] if dropped else sorted(frames.glob("*.tar"))
    members = {str(name): rows for name, rows in index.groupby("shard")}
    for name in sorted(members.keys() - {tar.stem for tar in tars}):
        raise tar_shards.damaged(frames / f"{name}.tar", f"it is missing, and {frame_index.FILE} lists it")
    whole = [
        TarShard(tar, members.get(tar.stem, index.iloc[:0]), sums.get(tar.name) or files.file_hash(tar), dropped)
        for tar in tars
    ]
    return [replace(shard, smaller=size) for shard in whole for size in (None, *smaller)]


def _sums(frames: Path) -> dict[str, str]:
    """Name of a tar, which may have been dropped -> its SHA-256; empty where no list is there."""
    listed = frames / (TARS if (frames / TARS).is_file() else checksums.NAME)
    checksums.check(listed)
    return checksums.read(listed) if listed.is_file() else {}


def make(store: Path, shard: TarShard) -> tuple[Path, str]:
    """The LMDB file of a shard, and its hash; it is packed into `store` unless it is there or in the tar's place.

    Raises:
        UserError: the tar, or the file in its place, is damaged or does not hold what the index says.
    """
    if shard.dropped:
        in_place = _in_place(shard)
        if not shard.smaller:
            return in_place
    else:
        checksums.check(shard.tar)
    with scratch.piece(store, shard.key):  # another share may be at it, or for a moment yet a process of a killed run
        path = _packed(store, shard.key)
        if not path:
            mine = store / f"{shard.key}-{os.getpid()}"
            with files.aside(mine) as aside:
                write(aside, shard)
            path = mine.rename(store / f"{shard.key}-{files.file_hash(mine)}.lmdb")
        return path, path.stem.rpartition("-")[2]


def _make_on_node(store: Path, shard: TarShard) -> tuple[Path, str]:
    """`make` in a task of Ray, whose node must see the tars of the node that hands out."""
    if (_sums(shard.tar.parent).get(shard.tar.name) or files.file_hash(shard.tar)) != shard.sha256:
        raise UserError(
            f"{shard.tar} is another file on the node {platform.node()} than on the node that hands out the work, or "
            "has just changed. Give all nodes the same; then `dvc repro pack`."
        )
    return make(store, shard)


def write(path: Path, shard: TarShard) -> None:
    """Pack the tar of a shard into the LMDB file `path`.

    Raises:
        UserError: the tar is damaged or does not hold what the index says.
    """
    frame_store.write_shard(path, _values(shard))


def _in_place(shard: TarShard) -> tuple[Path, str]:
    """The LMDB file that lies in the place of a tar that was dropped, and its hash."""
    path = shard.tar.with_suffix(".lmdb")
    if not path.is_file():
        raise tar_shards.damaged(path, f"it is missing, and {TARS} lists its tar")
    found = files.file_hash(path)
    checksums.check(path, found)
    return path.resolve(), found  # DVC may have made it a symbolic link


def _publish(
    shards: Sequence[TarShard], index: pd.DataFrame, packed: Mapping[str, tuple[Path, str]], out: Path
) -> None:
    """Write the folder `out`; `packed` has the file and hash of each key."""
    with files.aside(out) as aside:
        aside.mkdir()
        fill(aside, [Finished(shard.name, *packed[shard.key], shard.content) for shard in shards], index)


def _is_there(store: Path, shard: TarShard) -> bool:
    """Whether the LMDB file of a shard is there, as far as that is seen without reading it."""
    return (shard.dropped and not shard.smaller) or any(store.glob(f"{shard.key}-*.lmdb"))


def _packed(store: Path, key: str) -> Path | None:
    """The finished shard of a key; None where it is missing. One whose bytes have changed is deleted."""
    for path in store.glob(f"{key}*"):
        if path.name == f"{key}-{files.file_hash(path)}.lmdb":
            return path
        path.unlink()
    return None


def _values(shard: TarShard) -> Iterator[tuple[str, bytes]]:
    """Pairs (id, value) of the videos of a shard, sorted by id."""
    members = shard.members.set_index("video")
    for video, jpegs in _videos(shard, members["frames"].to_dict()):
        width, height = int(members.at[video, "width"]), int(members.at[video, "height"])
        if shard.smaller:
            smaller = _shrunk(shard, video, jpegs)
            height, width = jpeg.size(smaller[0])
            yield video, frame_store.encode(smaller, width, height)
        else:
            yield video, frame_store.encode(jpegs, width, height)


def _videos(shard: TarShard, frames: Mapping[str, int]) -> Iterator[tuple[str, list[bytes]]]:
    """Pairs (id, JPEGs) of the videos of a shard, of its tar or what replaced it; `frames` has the number of each."""
    if not shard.dropped:
        yield from tar_shards.videos(shard.tar, frames)
        return
    store = FrameStore.of_file(shard.tar.with_suffix(".lmdb"), frames)
    for video, count in frames.items():
        yield video, [bytes(data) for data in store.read(video, range(count))]


def _shrunk(shard: TarShard, video: str, jpegs: Sequence[bytes]) -> list[bytes]:
    """The JPEGs of a video at the smaller size of a shard."""
    assert shard.smaller
    try:
        return [jpeg.shrink(data, *shard.smaller) for data in jpegs]
    except ValueError as error:
        if faults.told(error) is not None:  # the decoder's word for too little memory
            raise
        raise tar_shards.damaged(shard.tar, f"video {video!r}: {error}") from error
