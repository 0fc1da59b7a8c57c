"""A shard of the extraction, and what of it lies in the scratch folder: a file of frames, and the record of its videos.

The file is a tar of `<video>/000000.jpg`; where tars are dropped once packed (`extract.keep: false`), the LMDB file
that the tar was packed into. The record has the hash of the file, and the outcome of each video.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.clips import packing
from pipeline.core import files
from pipeline.core.fingerprints import FAULTS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """The videos of one file of frames."""

    name: str
    rows: tuple[dict[str, str], ...]
    """Rows of the manifest, sorted by id as in the tar."""
    tar_key: str
    """Fingerprint of all that the tar is made from."""
    keep: bool
    """Whether the tar is kept; else the LMDB file is."""

    @property
    def key(self) -> str:
        """Fingerprint of all that the file is made from, under which it is kept."""
        return self.tar_key if self.keep else files.fingerprint(self.tar_key, packing.FORMAT)

    @property
    def suffix(self) -> str:
        """Suffix of the file."""
        return ".tar" if self.keep else ".lmdb"

    def file(self, store: Path) -> Path:
        """Where the frames are kept."""
        return store / f"{self.key}{self.suffix}"

    def record(self, store: Path) -> Path:
        """Where the outcomes of the videos are kept."""
        return store / f"{self.key}.json"

    @property
    def as_tar(self) -> "Shard":
        """The same shard where tars are kept."""
        return replace(self, keep=True)


def made(store: Path, shard: Shard) -> dict[str, Any]:
    """The record of a shard; one that is cut short has no hash, and so fits no file."""
    try:
        record: dict[str, Any] = json.loads(shard.record(store).read_text(encoding="utf-8"))
    except ValueError:
        return {"sha256": None, "videos": []}
    return record


def is_there(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, as far as that is seen without reading it: its record is written last."""
    return shard.record(store).is_file() and shard.file(store).is_file()


def whole(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, undamaged."""
    if not is_there(store, shard):
        return False
    file = shard.file(store)
    if made(store, shard)["sha256"] != files.file_hash(file):
        how = "" if shard.keep else " from its videos, since its tar was dropped (extract.keep)"
        log.warning("%s (%s) is damaged and is made again%s", file, shard.name, how)
        return False
    return True


def finished(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, undamaged, and without videos that may have failed by chance."""
    if not whole(store, shard):
        return False
    present = {row["video"] for row in shard.rows if row["fingerprint"] not in FAULTS}
    videos = made(store, shard)["videos"]
    again = [video["video"] for video in videos if video.get("again") and video["video"] in present]
    if again:
        log.info("%s is made again, since %s may have failed by chance", shard.name, ", ".join(again))
    return not again


def say_what_was_dropped(store: Path, shards: Sequence[Shard]) -> None:
    """Say for how many shards that keep their tars there are LMDB files alone."""
    dropped = [replace(shard, keep=False) for shard in shards if shard.keep and not is_there(store, shard)]
    if count := sum(is_there(store, shard) for shard in dropped):
        log.info("%d shards are extracted anew: extract.keep was false, so that their tars were dropped", count)
