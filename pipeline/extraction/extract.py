"""Extraction of a corpus: video files -> shards of frames, their index, and the list of broken videos.

The shard of a video is a hash of its id. A shard is a tar of `<video>/000000.jpg`, kept in the scratch folder under the
fingerprint of all that it was made from, so adding or replacing one video makes one shard anew, and a run that was
killed goes on after the last finished shard.
"""

import dataclasses
import hashlib
import json
import logging
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import simplejpeg

from pipeline.core import checksums, files, frame_index, scratch
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.errors import UserError
from pipeline.core.fingerprints import FAULTS
from pipeline.core.machine import Machine, ffmpeg_version, parallel, scratch_folder
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.share import Share
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import FORMAT, extract_frames
from pipeline.extraction.judge import SHORTFALL
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.videos import Videos, videos_of

log = logging.getLogger(__name__)

LIMITS = ("timeout_seconds", "timeout_factor", "most_memory", "shards")
"""Settings that change no frame: what they refuse is tried again, and nothing else."""


@dataclass(frozen=True)
class Shard:
    """The videos of one tar."""

    name: str
    rows: tuple[dict[str, str], ...]
    """Rows of the manifest, sorted by id as in the tar."""
    key: str
    """Fingerprint of all that the tar is made from, under which it is kept."""


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
    binary = machine.ffmpeg_path()
    store = scratch_folder(machine, "extract")
    shards = plan(manifest, config, ffmpeg_version(binary))
    videos = videos_of(root, (row for shard in shards for row in shard.rows), machine)
    maker = _Maker(store, videos, config, binary)

    def make(wanted: Sequence[Shard], fit: Callable[[Path, Shard], bool] = _finished) -> None:
        missing = [shard for shard in wanted if not fit(store, shard)]
        log.info("%d of %d shards are to be made (%d videos)", len(missing), len(wanted), _videos(missing))
        with progress_bar(total=_videos(missing), desc="extract", unit="video", smoothing=0.1) as bar:
            for shard in missing:
                maker.make(shard, bar.update)

    if share and not scratch.make_share(share, store, out, shards, make, partial(_is_there, store)):
        return False
    with scratch.alone(store):
        scratch.prune(store, out, [shard.key for shard in shards])  # half-extracted folders of a killed run, too
        make(shards, _whole if share else _finished)  # what all shares have just tried is not tried again
        _publish(manifest, shards, store, out, broken)
    return True


def plan(manifest: Manifest, config: ExtractConfig, ffmpeg: str) -> list[Shard]:
    """The shards of a corpus, in order; `ffmpeg` is the version of FFmpeg."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in LIMITS}
    rows: list[list[dict[str, str]]] = [[] for _ in range(config.shards)]
    for row in manifest.table.sort_values("video").to_dict("records"):
        rows[shard_number(row["video"], config.shards)].append({str(k): v for k, v in row.items()})
    shards = []
    for number, members in enumerate(rows):
        content = [[row["video"], row["path"], row["fingerprint"]] for row in members]
        key = files.fingerprint(FORMAT, ffmpeg, settings, content)
        shards.append(Shard(f"shard-{number:05d}", tuple(members), key))
    return shards


def shard_number(video: str, shards: int) -> int:
    """Number of the shard of a video, 0 .. shards - 1: a hash of its id, so that other videos never move it."""
    return int.from_bytes(hashlib.blake2b(video.encode(), digest_size=8).digest(), "big") % shards


def _videos(shards: Sequence[Shard]) -> int:
    return sum(len(shard.rows) for shard in shards)


def _is_there(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, as far as that is seen without reading it: its record is written last."""
    return (store / f"{shard.key}.json").is_file() and (store / f"{shard.key}.tar").is_file()


def _whole(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, undamaged."""
    if not _is_there(store, shard):
        return False
    tar = store / f"{shard.key}.tar"
    if _made(store, shard)["sha256"] != files.file_hash(tar):
        log.warning("%s (%s) is damaged and is made again", tar, shard.name)
        return False
    return True


def _finished(store: Path, shard: Shard) -> bool:
    """Whether the shard is there, undamaged, and without videos that may have failed by chance."""
    if not _whole(store, shard):
        return False
    present = {row["video"] for row in shard.rows if row["fingerprint"] not in FAULTS}
    videos = _made(store, shard)["videos"]
    again = [video["video"] for video in videos if video.get("again") and video["video"] in present]
    if again:
        log.info("%s is made again, since %s may have failed by chance", shard.name, ", ".join(again))
    return not again


def _made(store: Path, shard: Shard) -> dict[str, Any]:
    """The record of a shard; one that is cut short has no hash, and so fits no tar."""
    try:
        record: dict[str, Any] = json.loads((store / f"{shard.key}.json").read_text(encoding="utf-8"))
    except ValueError:
        return {"sha256": None, "videos": []}
    return record


@dataclass(frozen=True)
class _Maker:
    """What a shard is made with."""

    store: Path
    videos: Videos
    config: ExtractConfig
    binary: str

    def make(self, shard: Shard, advance: Callable[[int], Any]) -> None:
        """Write one shard: `<key>.tar` with the frames, then `<key>.json` with the outcome of each video."""
        with scratch.piece(self.store, shard.key) as waited:
            if waited and _finished(self.store, shard):
                advance(len(shard.rows))
                return
            self._write(shard, advance)

    def _write(self, shard: Shard, advance: Callable[[int], Any]) -> None:
        outcomes = []
        tar_path = self.store / f"{shard.key}.tar"
        with files.temporary_folder(self.store) as temporary, files.aside(tar_path) as aside:

            def run(numbered: tuple[int, dict[str, str]]) -> tuple[dict[str, str], Path, Any]:
                number, row = numbered
                folder = temporary / str(number)
                folder.mkdir()
                try:
                    with self.videos.at_hand(row, temporary / f"{number}.video") as video:
                        return row, folder, extract_frames(video, folder, self.config, self.binary)
                except NoFrames as broken:
                    return row, folder, broken

            with tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as tar:
                for row, folder, outcome in parallel(run, enumerate(shard.rows), self.videos.threads):
                    outcomes.append(_record(tar, row["video"], folder, outcome))
                    files.remove(folder)
                    advance(1)
        record = {"sha256": files.file_hash(tar_path), "videos": outcomes}
        files.write_json(self.store / f"{shard.key}.json", record)


def _record(tar: tarfile.TarFile, video: str, folder: Path, outcome: Any) -> dict[str, Any]:
    """Add the frames of a video to the tar, and return its outcome as plain values."""
    if isinstance(outcome, NoFrames):
        return {"video": video, "reason": outcome.reason, "words": str(outcome), "again": outcome.again}
    jpegs = sorted(folder.glob("*.jpg"))
    width, height = jpeg_size(jpegs[0].read_bytes())
    for jpeg in jpegs:
        entry = tarfile.TarInfo(f"{video}/{jpeg.name}")  # no owner, no time: same frames, same bytes
        entry.size = jpeg.stat().st_size
        with jpeg.open("rb") as file:
            tar.addfile(entry, file)
    counts = {name: getattr(outcome, name) for name in ("frames", "promised", "decoded", "damaged")}
    return {"video": video, **counts, "width": width, "height": height, "note": outcome.words}


def _publish(manifest: Manifest, shards: list[Shard], store: Path, out: Path, broken: Path) -> None:
    """Link the shards into `out` and write their index; write the list of broken videos."""
    good, bad, sums = [], {}, {}
    with files.aside(out) as aside:
        aside.mkdir()
        for shard in shards:
            made = _made(store, shard)
            sums[f"{shard.name}.tar"] = made["sha256"]
            for video in made["videos"]:
                if "reason" in video:
                    bad[video["video"]] = (video["reason"], video["words"])
                else:
                    good.append({"video": video["video"], "shard": shard.name, **video})
            files.link(store / f"{shard.key}.tar", aside / f"{shard.name}.tar")
        index = pd.DataFrame(good, columns=list(frame_index.COLUMNS)).sort_values("video")
        frame_index.write(aside / frame_index.FILE, index)
        checksums.seal(aside, sums)
        _report(manifest, good, bad)
    rows = manifest.table[manifest.table["video"].isin(bad)]
    write_broken(broken, (BrokenVideo(r.video, r.split, r.path, *bad[r.video]) for r in rows.itertuples(index=False)))
    checksums.write(broken.with_suffix(f".{checksums.NAME}"), [broken])


def _report(manifest: Manifest, good: list[dict[str, Any]], bad: dict[str, tuple[str, str]]) -> None:
    for video, (reason, words) in sorted(bad.items()):
        log.warning("broken: %s: %s: %s", video, reason, words)
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
