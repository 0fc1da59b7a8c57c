"""The flow of a corpus: packed frames -> shards of flow, and the list of videos without flow.

The shard of a video is that of its frames (extraction/making.py).
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.clips import frame_store, packing
from pipeline.clips.frame_store import FrameStore
from pipeline.core import faults, files, frame_index, tsv
from pipeline.core.broken_videos import write_ledger
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, parallel, scratch_folder
from pipeline.core.manifest import Manifest
from pipeline.core.share import Share
from pipeline.extraction import making
from pipeline.extraction.making import Advance
from pipeline.extraction.shard import Shard, made
from pipeline.flow import config as settings
from pipeline.flow import dis
from pipeline.flow.config import FlowConfig
from pipeline.flow.denseflow import FlowFolder
from pipeline.flow.dis import Flow, NoFlow

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of what is made of frames; raise it when that changes, so that no shard of the old one is used again."""
NEEDED = ("train", "val")
"""Splits without which no model that takes flow can be trained."""
SHOWN = 5
"""Number of videos that a message names."""


class FlowShard(Shard):
    """The videos of one file of flow."""

    @property
    def suffix(self) -> str:
        """Suffix of the file."""
        return ".lmdb"


def compute_flow(
    manifest: Manifest, frames: Path, out: Path, ledger: Path, config: FlowConfig, machine: Machine,
    share: Share | None = None, needed: Collection[str] = NEEDED,
) -> bool:  # fmt: skip
    """Write the flow of every video in the packed `frames` into shards in `out`, and the list `ledger`.

    With a share, only its shards are made; other calls make the others in the same scratch folder. The call after which
    all are there writes `out` and `ledger`. The value says whether they are written.

    Args:
        needed: splits in which no video with flow is an error.

    Raises:
        UserError: OpenCV is missing, or the folder of flow; a frame is damaged; or no video of a needed split has flow.
    """
    store, source = scratch_folder(machine, "flow"), FrameStore(frames)
    rows = {row["video"]: row for row in manifest.table.astype(str).to_dict("records")}
    folder = FlowFolder.of(config.folder, (row["path"] for row in rows.values())) if config.folder else None
    shards = plan(rows, source, config, folder)
    maker = _Maker(store, source, config, folder, machine.processes)
    publish = partial(_publish, manifest, shards, store, out, ledger, needed)
    return making.make_all("flow", store, out, shards, share, maker.make, publish)


def plan(
    rows: dict[str, dict[str, str]], source: FrameStore, config: FlowConfig, folder: FlowFolder | None
) -> list[FlowShard]:
    """The shards of a corpus, in the order of those of its frames; `rows` has the manifest's row of each video."""
    contents = tsv.read(source.root / frame_store.SHARDS, ("shard", "key"), "pack").set_index("shard")["key"].to_dict()
    members: dict[str, list[dict[str, str]]] = {name: [] for name in contents if "." not in name}
    for row in frame_index.read_packed(source.root / frame_index.FILE).to_dict("records"):
        if row["video"] in rows:
            members[row["shard"]].append(rows[row["video"]])
    if folder is None:
        side = None if config.short_side is None else source.at(config.short_side).side
        made_by = [settings.library().__version__, config.preset, config.short_side, config.bound, config.quality]
    shards = []
    for name, videos in members.items():
        if folder is None:
            content: list[Any] = [*made_by, contents[frame_store.shard_name(name, side)]]
        else:
            content = [folder.signature(row) for row in videos]
        key = files.fingerprint(FORMAT, [row["video"] for row in videos], content)
        shards.append(FlowShard(name, tuple(videos), key, keep=True))
    return shards


@dataclass(frozen=True)
class _Maker:
    """What a shard is made with."""

    store: Path
    source: FrameStore
    config: FlowConfig
    folder: FlowFolder | None
    workers: int

    def make(self, shards: Sequence[FlowShard], advance: Advance) -> None:
        """Write shards one after another."""
        for shard in shards:
            making.make_one(self.store, shard, self._write, advance)

    def _write(self, shard: FlowShard, path: Path, advance: Advance) -> dict[str, Any]:
        """Write the flow of the videos to a file, and return the record."""
        outcomes: list[dict[str, Any]] = []
        frame_store.write_shard(path, self._values(shard, outcomes, advance))
        return {"sha256": files.file_hash(path), "videos": outcomes}

    def _values(
        self, shard: FlowShard, outcomes: list[dict[str, Any]], advance: Advance
    ) -> Iterator[tuple[str, bytes]]:
        """Pairs (id, value) of the videos that have flow; `outcomes` gets what came of each of all."""
        frames = ((row, self._frames(row["video"])) for row in shard.rows)  # this thread reads: LMDB opens a file once
        for row, found in parallel(self._flow, frames, self.workers):
            video = row["video"]
            if isinstance(found, NoFlow):
                outcomes.append({"video": video, "reason": found.reason, "words": str(found)})
            else:
                sizes = {"frames": len(found.jpegs), "width": found.width, "height": found.height}
                outcomes.append({"video": video, **sizes, "note": found.note})
                yield video, frame_store.encode(found.jpegs, found.width, found.height)
            advance(1)

    def _frames(self, video: str) -> list[memoryview]:
        """The frames that flow is computed from; of a folder of flow, none are read."""
        return [] if self.folder else self._sized.read(video, range(self.source.frames(video)))

    def _flow(self, work: tuple[dict[str, str], list[memoryview]]) -> tuple[dict[str, str], Flow | NoFlow]:
        row, jpegs = work
        try:
            if self.folder is not None:
                return row, self.folder.flow_of(row, self.source.frames(row["video"]))
            return row, dis.flow_of(jpegs, self.config)
        except NoFlow as none:
            return row, none
        except ValueError as error:
            if faults.told(error) is not None:  # the decoder's word for too little memory
                raise
            raise self._sized.damaged(row["video"], error) from error

    @property
    def _sized(self) -> FrameStore:
        """The frames at the smallest stored size that suffices."""
        return self.source if self.config.short_side is None else self.source.at(self.config.short_side)


def _publish(
    manifest: Manifest, shards: Sequence[FlowShard], store: Path, out: Path, ledger: Path, needed: Collection[str]
) -> None:
    """Link the shards into `out` and write their index; write the list of videos without flow."""
    good: list[dict[str, Any]] = []
    without: dict[str, tuple[str, str]] = {}
    found = []
    for shard in shards:
        record = made(store, shard)
        found.append(packing.Finished(shard.name, shard.file(store), record["sha256"], shard.key))
        for video in record["videos"]:
            if "reason" in video:
                without[video["video"]] = (video["reason"], video["words"])
            else:
                good.append({"shard": shard.name, **video})
    index = pd.DataFrame(good, columns=[*frame_index.PACKED_COLUMNS, "note"]).sort_values("video")
    with files.aside(out) as aside:
        aside.mkdir()
        packing.fill(aside, found, index)
        _report(manifest, index, without, needed)
    write_ledger(ledger, manifest, without)


def _report(
    manifest: Manifest, index: pd.DataFrame, without: dict[str, tuple[str, str]], needed: Collection[str]
) -> None:
    for video, (reason, words) in sorted(without.items())[:SHOWN]:
        log.warning("no flow: %s: %s: %s", video, reason, words)
    if len(without) > SHOWN:
        log.warning("no flow of %d videos in all, which no_flow.tsv lists", len(without))
    noted = index[index["note"] != ""]
    for row in noted.head(SHOWN).itertuples(index=False):
        log.warning("another number of frames: %s: %s", row.video, row.note)
    if len(noted) > SHOWN:
        log.warning("another number of frames in %d videos in all; their flow is taken as it is", len(noted))
    there = set(index["video"])
    left = manifest.without([video for video in manifest.videos if video not in there])
    for split in needed:
        if not len(left.split(split)):
            raise UserError(
                f"No video of the split {split!r} has flow, so no model can learn from it. Take a set of models "
                "without one that does (`pipeline params model=...`), or add videos that move."
            )
