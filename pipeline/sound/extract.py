"""The sound of a corpus: video files -> shards of samples, and the list of videos without sound.

The shard of a video is that of its frames (extraction/making.py). Every video of the manifest is listened to, whether
or not it gave frames.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.clips import sound_store
from pipeline.core import checksums, files
from pipeline.core.broken_videos import write_ledger
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, ffmpeg_version, parallel, scratch_folder
from pipeline.core.manifest import Manifest
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.segments import Segment
from pipeline.core.share import Share
from pipeline.extraction import making, videos
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import shard_number
from pipeline.extraction.making import Advance
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.shard import Shard, made
from pipeline.sound.decode import FORMAT, decode

log = logging.getLogger(__name__)

NEEDED = ("train", "val")
"""Splits without which no model that hears can be trained."""


class SoundShard(Shard):
    """The videos of one file of samples."""

    @property
    def suffix(self) -> str:
        """Suffix of the file."""
        return sound_store.SUFFIX


def extract_sound(
    manifest: Manifest, root: Path | RemoteFolder, out: Path, ledger: Path, config: ExtractConfig, machine: Machine,
    share: Share | None = None,
) -> bool:  # fmt: skip
    """Write the sound of every video of `manifest` under `root` into shards in `out`, and the list `ledger`.

    With a share, only its shards are made; other calls make the others in the same scratch folder. The call after which
    all are there writes `out` and `ledger`. The value says whether they are written.

    Raises:
        UserError: FFmpeg is missing, the corpus' root is missing, a video cannot be fetched, or no video of train or of
            val has sound.
    """
    videos.check(root, manifest.table["fingerprint"], manifest.table["path"], machine.scratch_gb)
    binary, store = machine.ffmpeg_path(), scratch_folder(machine, "sound")
    shards = plan(manifest, config, ffmpeg_version(binary))
    maker = _Maker(store, root, config, binary, machine)
    publish = partial(_publish, manifest, shards, store, out, ledger)
    return making.make_all("sound", store, out, shards, share, maker.make, publish)


def plan(manifest: Manifest, config: ExtractConfig, ffmpeg: str) -> list[SoundShard]:
    """The shards of a corpus, in order; `ffmpeg` is the version of FFmpeg."""
    settings = [config.most_damage, config.most_frames / config.fps, config.too_long]
    rows: list[list[dict[str, str]]] = [[] for _ in range(config.shards)]
    for row in manifest.table.sort_values("video").to_dict("records"):
        rows[shard_number(row["video"], config.shards)].append({str(k): v for k, v in row.items()})
    shards = []
    for number, members in enumerate(rows):
        content = [[row["video"], row["path"], row["fingerprint"], *(Segment.of(row) or ())] for row in members]
        key = files.fingerprint(FORMAT, ffmpeg, settings, content)
        shards.append(SoundShard(f"shard-{number:05d}", tuple(members), key, keep=True))
    return shards


@dataclass(frozen=True)
class _Maker:
    """What a shard is made with."""

    store: Path
    root: Path | RemoteFolder
    config: ExtractConfig
    binary: str
    machine: Machine

    def make(self, shards: Sequence[SoundShard], advance: Advance) -> None:
        """Write shards one after another."""
        for shard in shards:
            making.make_one(self.store, shard, self._write, advance)

    def _write(self, shard: SoundShard, path: Path, advance: Advance) -> dict[str, Any]:
        """Write the samples of the videos to a file, one after another, and return the record."""
        outcomes, source = [], videos.of(self.root, self.machine.processes, self.machine.scratch_gb)
        with files.temporary_folder(self.store) as temporary, path.open("wb") as file:

            def run(numbered: tuple[int, dict[str, str]]) -> tuple[str, Any]:
                number, row = numbered
                folder = temporary / str(number)
                folder.mkdir()
                try:
                    with source.at_hand(row, temporary / f"{number}.video") as video:
                        sound = decode(video, folder, self.config, self.binary, Segment.of(row))
                except NoFrames as none:
                    return row["video"], none
                finally:
                    files.remove(folder)
                return row["video"], sound

            for video, outcome in parallel(run, enumerate(shard.rows), source.threads):
                if isinstance(outcome, NoFrames):
                    why = {"reason": outcome.reason, "words": str(outcome), "again": outcome.again}
                    outcomes.append({"video": video, **why})
                else:
                    outcomes.append({"video": video, "offset": file.tell(), "samples": len(outcome)})
                    file.write(sound_store.encode(outcome))
                advance(1)
        return {"sha256": files.file_hash(path), "videos": outcomes}


def _publish(manifest: Manifest, shards: Sequence[SoundShard], store: Path, out: Path, ledger: Path) -> None:
    """Link the shards into `out` and write their index; write the list of videos without sound."""
    good, silent, sums = [], {}, {}
    with files.aside(out) as aside:
        aside.mkdir()
        for shard in shards:
            record = made(store, shard)
            sums[f"{shard.name}{shard.suffix}"] = record["sha256"]
            for video in record["videos"]:
                if "reason" in video:
                    silent[video["video"]] = (video["reason"], video["words"])
                else:
                    good.append({"shard": shard.name, **video})
            files.link(shard.file(store), aside / f"{shard.name}{shard.suffix}")
        sound_store.write_index(aside, pd.DataFrame(good, columns=list(sound_store.COLUMNS)))
        checksums.seal(aside, sums)
        _report(manifest, silent)
    write_ledger(ledger, manifest, silent)


def _report(manifest: Manifest, silent: dict[str, tuple[str, str]]) -> None:
    for video, (reason, words) in sorted(silent.items()):
        if reason != "no_audio":  # which is nothing unusual, and may be said of half a corpus
            log.warning("no sound: %s: %s: %s", video, reason, words)
    left = manifest.without(silent)
    for split in NEEDED:
        if not len(left.split(split)):
            raise UserError(
                f"No video of the split {split!r} has sound, so no model can learn to hear. Take a set of models "
                "without one (`pipeline params model=...`), or add videos with sound."
            )
