"""SoundStore: the sound of a corpus, mono and 16 kHz, written once, read by (video, samples).

Each shard is one file of values one after another, and a video has one value, without compression, so that a part of a
sound is one read:

    checksums                 the CRC-32 of each second, uint32, little-endian
    samples                   int16, little-endian

index.tsv says where. A video that is not in it has no sound, and data/no_sound.tsv says why.
"""

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import checksums, tsv
from pipeline.core.errors import UserError

RATE = 16_000
"""Samples a second."""
INDEX = "index.tsv"
COLUMNS = ("video", "shard", "offset", "samples")
"""Columns of the index: `offset` is the first byte of the value in the file of the shard."""
SUFFIX = ".pcm"
_CRC = np.dtype("<u4")
_SAMPLE = np.dtype("<i2")


def encode(samples: np.ndarray) -> bytes:
    """The value of a video: its samples, int16 (S,), behind the checksums of its seconds."""
    content = samples.astype(_SAMPLE).tobytes()
    second = RATE * _SAMPLE.itemsize
    sums = [zlib.crc32(content[start : start + second]) for start in range(0, len(content), second)]
    return np.array(sums, _CRC).tobytes() + content


def write_index(folder: Path, rows: pd.DataFrame) -> None:
    """Write the index: `COLUMNS` of the videos that have sound, sorted by id."""
    tsv.write(folder / INDEX, rows[list(COLUMNS)].sort_values("video"))


class SoundStore:
    """The sound of a corpus: samples by video.

    Args:
        root: the folder that stage `sound` wrote.
        whole: the videos that gave frames. Others are broken to every model, and their sound is left out; None takes
            all sound.

    Raises:
        UserError: the index is missing or damaged.
    """

    def __init__(self, root: Path, whole: Iterable[str] | None = None) -> None:
        self.root, self._whole = root, None if whole is None else frozenset(whole)
        table = tsv.read(root / INDEX, COLUMNS, "sound", numbers=("offset", "samples"))
        rows = [row for row in table.itertuples(index=False) if not self.broken(row.video)]
        self._values = {row.video: (row.shard, row.offset, row.samples) for row in rows}

    def __contains__(self, video: str) -> bool:
        """Whether the video has sound."""
        return video in self._values

    def broken(self, video: str) -> bool:
        """Whether the video is broken, and does not merely lack sound."""
        return self._whole is not None and video not in self._whole

    @property
    def videos(self) -> list[str]:
        """The ids of all videos that have sound, sorted."""
        return list(self._values)

    def samples(self, video: str) -> int:
        """The number of samples of a video, at least 1."""
        return int(self._known(video)[2])

    def read(self, video: str, start: int = 0, count: int | None = None) -> np.ndarray:
        """Samples `start` .. `start + count - 1` of a video, int16 (count,); all from `start` on without `count`.

        Raises:
            UserError: the video has no sound, or the shard is missing or damaged.
            IndexError: the video has no such samples.
        """
        shard, offset, samples = self._known(video)
        end = samples if count is None else start + count
        if not 0 <= start < end <= samples:
            raise IndexError(f"{video} has samples 0..{samples - 1}, not {start}..{end - 1}")
        seconds = range(start // RATE, -(-end // RATE))
        first, last = seconds.start * RATE, min(seconds.stop * RATE, samples)
        sums_at = offset + seconds.start * _CRC.itemsize
        content_at = offset + -(-samples // RATE) * _CRC.itemsize + first * _SAMPLE.itemsize
        path = self.root / f"{shard}{SUFFIX}"
        try:
            sums = np.fromfile(path, _CRC, len(seconds), offset=sums_at)
            found = np.fromfile(path, _SAMPLE, last - first, offset=content_at)
        except FileNotFoundError as error:
            raise _damaged(path, video, "it is missing") from error
        if len(sums) < len(seconds) or len(found) < last - first:
            raise _damaged(path, video, "it is cut short")
        for number, crc in enumerate(sums):
            if zlib.crc32(found[number * RATE : (number + 1) * RATE].tobytes()) != crc:
                raise _damaged(path, video, f"second {seconds[number]} has not the bytes that were written")
        return found[start - first : end - first].astype(np.int16, copy=False)

    def content_key(self, sides: Iterable[int] = ()) -> str:  # noqa: ARG002 - the same call as a FrameStore's
        """A hash of all samples, computed without reading them; it has no sizes to choose from, as frames have."""
        return hashlib.sha256(checksums.text(self.root / checksums.NAME).encode()).hexdigest()

    def _known(self, video: str) -> tuple[str, int, int]:
        if video not in self._values:
            raise UserError(
                f"{self.root} has no sound of {video!r}. If it is new, run `dvc repro`; if it has none, "
                "data/no_sound.tsv says why."
            )
        return self._values[video]


def _damaged(path: Path, video: str, why: str) -> UserError:
    return UserError(
        f"The sound in {path} is damaged (video {video!r}: {why}). Where it is missing, `dvc repro` makes it again. "
        f"{checksums.REBUILD}"
    )
