"""Extraction of a corpus: video files -> shards of frames, their index, and the list of broken videos.

The shard of a video is a hash of its id. A shard is a tar of `<video>/000000.jpg`, or the LMDB file that it was packed
into (making.py).
"""

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import simplejpeg

from pipeline.clips import packing
from pipeline.core import checksums, files, frame_index, ray_engine
from pipeline.core.broken_videos import write_ledger
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, ffmpeg_version, parallel, scratch_folder
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.segments import Segment
from pipeline.core.share import Share
from pipeline.extraction import making, on_node, videos
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import FORMAT, extract_frames
from pipeline.extraction.judge import SHORTFALL
from pipeline.extraction.making import Advance
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.shard import Shard, finished, made, say_what_was_dropped
from pipeline.extraction.tar_writer import TarWriter

log = logging.getLogger(__name__)

LIMITS = ("timeout_seconds", "timeout_factor", "most_memory", "shards")
"""Settings that change no frame: what they refuse is tried again, and nothing else."""
KEPT = ("keep",)
"""Settings that change what is kept of the frames."""


def extract_corpus(
    manifest: Manifest, root: Path | RemoteFolder, out: Path, broken: Path, config: ExtractConfig, machine: Machine,
    share: Share | None = None,
) -> bool:  # fmt: skip
    """Extract every video of `manifest` under `root` into shards in `out`, and write the list `broken`.

    With a share, only its shards are made; other calls make the others in the same scratch folder. The call after which
    all are there writes `out` and `broken`. The value says whether they are written.

    Raises:
        UserError: FFmpeg is missing, the corpus' root is missing, a video cannot be fetched, or a split has no video
            that gave frames.
    """
    videos.check(root, manifest.table["fingerprint"], manifest.table["path"], machine.scratch_gb)
    binary, on_ray = machine.ffmpeg_path(), machine.uses_ray(share)
    store = scratch_folder(machine, "extract")
    shards = plan(manifest, config, ffmpeg_version(binary))
    maker = _Maker(store, root, config, binary, machine.processes, machine.scratch_gb)
    make = partial(_make_on_nodes, maker, machine) if on_ray else maker.make_each
    publish = partial(_publish, manifest, shards, store, out, broken)
    say_what_was_dropped(store, shards)
    tars = [shard.tar_key for shard in shards]  # of a run that kept them, which are packed now
    return making.make_all("extract", store, out, shards, share, make, publish, tars)


def plan(manifest: Manifest, config: ExtractConfig, ffmpeg: str) -> list[Shard]:
    """The shards of a corpus, in order; `ffmpeg` is the version of FFmpeg."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in LIMITS + KEPT}
    rows: list[list[dict[str, str]]] = [[] for _ in range(config.shards)]
    for row in manifest.table.sort_values("video").to_dict("records"):
        rows[shard_number(row["video"], config.shards)].append({str(k): v for k, v in row.items()})
    shards = []
    for number, members in enumerate(rows):
        content = [[row["video"], row["path"], row["fingerprint"], *(Segment.of(row) or ())] for row in members]
        key = files.fingerprint(FORMAT, ffmpeg, settings, content)
        shards.append(Shard(f"shard-{number:05d}", tuple(members), key, config.keep))
    return shards


def shard_number(video: str, shards: int) -> int:
    """Number of the shard of a video, 0 .. shards - 1: a hash of its id, so that other videos never move it."""
    return int.from_bytes(hashlib.blake2b(video.encode(), digest_size=8).digest(), "big") % shards


@dataclass(frozen=True)
class _Maker:
    """What a shard is made with."""

    store: Path
    root: Path | RemoteFolder
    config: ExtractConfig
    binary: str
    workers: int
    scratch_gb: float

    def make_each(self, shards: Sequence[Shard], advance: Advance) -> None:
        """Write shards one after another."""
        for shard in shards:
            self.make(shard, advance)

    def make(self, shard: Shard, advance: Advance) -> None:
        """Write one shard."""
        making.make_one(self.store, shard, self._extract if shard.keep else self._pack, advance)

    def _extract(self, shard: Shard, tar_path: Path, advance: Advance) -> dict[str, Any]:
        """Write the tar, and return the record."""
        outcomes = []
        source = videos.of(self.root, self.workers, self.scratch_gb)
        with files.temporary_folder(self.store) as temporary:

            def run(numbered: tuple[int, dict[str, str]]) -> tuple[dict[str, str], Path, Any]:
                number, row = numbered
                folder = temporary / str(number)
                folder.mkdir()
                try:
                    with source.at_hand(row, temporary / f"{number}.video") as video:
                        return row, folder, extract_frames(video, folder, self.config, self.binary, Segment.of(row))
                except NoFrames as broken:
                    return row, folder, broken

            with TarWriter(tar_path) as tar:
                for row, folder, outcome in parallel(run, enumerate(shard.rows), source.threads):
                    outcomes.append(_record(tar, row["video"], folder, outcome))
                    files.remove(folder)
                    advance(1)
        return {"sha256": tar.sha256, "videos": outcomes}

    def _pack(self, shard: Shard, lmdb: Path, advance: Advance) -> dict[str, Any]:
        """Write the LMDB file from a tar that is dropped then, or that a run that kept its tars has left."""
        with files.temporary_folder(self.store) as temporary:
            if finished(self.store, shard.as_tar):
                tar, record = shard.as_tar.file(self.store), made(self.store, shard.as_tar)
                advance(len(shard.rows))
            else:
                tar = temporary / "frames.tar"
                record = self._extract(shard, tar, advance)
            good = [video for video in record["videos"] if "reason" not in video]
            index = pd.DataFrame(good, columns=list(frame_index.PACKED_COLUMNS))
            packing.write(lmdb, packing.TarShard(tar, index, record["sha256"]))
        return {"sha256": files.file_hash(lmdb), "tar": record["sha256"], "videos": record["videos"]}


def _make_on_nodes(maker: _Maker, machine: Machine, shards: Sequence[Shard], advance: Advance) -> None:
    """Write shards on the nodes of a Ray cluster; `machine` is each of them."""
    work = partial(_make_on_node, maker, machine, ffmpeg_version(maker.binary))
    for shard, _ in ray_engine.each(work, shards, maker.store, max(1, machine.workers)):
        advance(len(shard.rows))


def _make_on_node(maker: _Maker, machine: Machine, ffmpeg: str, shard: Shard) -> None:
    """Write one shard in a task of Ray: as many videos at a time as the task has CPUs."""
    binary = on_node.same_ffmpeg(machine, ffmpeg)
    on_node.sees(maker.root, shard.rows)
    dataclasses.replace(maker, binary=binary, workers=max(1, machine.workers)).make(shard, lambda _: None)


def _record(tar: TarWriter, video: str, folder: Path, outcome: Any) -> dict[str, Any]:
    """Add the frames of a video to the tar, and return its outcome as plain values."""
    if isinstance(outcome, NoFrames):
        return {"video": video, "reason": outcome.reason, "words": str(outcome), "again": outcome.again}
    for number in range(outcome.frames):
        name = f"{number:06d}.jpg"
        with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - a Path a frame takes as long as FFmpeg's file
            tar.add(f"{video}/{name}", jpeg := file.read())
    width, height = jpeg_size(jpeg)
    counts = {name: getattr(outcome, name) for name in ("frames", "promised", "decoded", "damaged")}
    return {"video": video, **counts, "width": width, "height": height, "note": outcome.words}


def _publish(manifest: Manifest, shards: list[Shard], store: Path, out: Path, broken: Path) -> None:
    """Link the shards into `out` and write their index; write the list of broken videos."""
    good, bad, sums, dropped = [], {}, {}, {}
    with files.aside(out) as aside:
        aside.mkdir()
        for shard in shards:
            record = made(store, shard)
            sums[f"{shard.name}{shard.suffix}"] = record["sha256"]
            if not shard.keep:
                dropped[f"{shard.name}.tar"] = record["tar"]
            for video in record["videos"]:
                if "reason" in video:
                    bad[video["video"]] = (video["reason"], video["words"])
                else:
                    good.append({"video": video["video"], "shard": shard.name, **video})
            files.link(shard.file(store), aside / f"{shard.name}{shard.suffix}")
        index = pd.DataFrame(good, columns=list(frame_index.COLUMNS)).sort_values("video")
        frame_index.write(aside / frame_index.FILE, index)
        if dropped:
            checksums.write(aside / packing.TARS, map(Path, dropped), dropped)
        checksums.seal(aside, sums)
        _report(manifest, good, bad)
    write_ledger(broken, manifest, bad)


def _report(manifest: Manifest, good: list[dict[str, Any]], bad: dict[str, tuple[str, str]]) -> None:
    lines = {video: line for line, video in enumerate(manifest.videos, start=2)}
    for video, (reason, words) in sorted(bad.items()):
        where = f" (manifest.tsv, line {lines[video]}: mend its start and end in the annotations)"
        log.warning("broken: %s: %s: %s%s", video, reason, words, where if reason == "outside" else "")
    for row in good:
        if row["damaged"] or row["frames"] < row["promised"] - SHORTFALL:
            log.warning("damaged or short: %s: %s", row["video"], row["note"])
    left = manifest.without(bad)
    for split in SPLITS:
        if not len(left.split(split)):
            raise UserError(
                f"No video of the split {split!r} gave a frame ({len(manifest.split(split))} are broken, see above). "
                "Mend or replace the files, then `dvc repro`."
            )


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, from its header."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return width, height
