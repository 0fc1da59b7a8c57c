"""The corpus of million_rows.py: videos and labels, frames, and prediction files, all made up.

    python benchmarks/rows/made_up.py PART ROWS HELD_OUT MEMBERS        # in the folder of the project

A part is the name of a function of this file.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg

from pipeline.class_stats import ClassStatistics
from pipeline.clips import frame_store, lmdb_pages, views
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core import checksums, doubles, frame_index, params
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import plan, shard_number
from pipeline.predictions.table import FINAL, SPLITS
from pipeline.predictions.view_scores import write_split

CLASSES = 313
ONE_BROKEN_OF = 1000
"""Every so many videos one gives no frame."""
ONE_COPY_OF = 500
"""Every so many videos one is a copy of the one before."""
GRID = views.grid(Scale(256, 256), ViewConfig(5, (256, 320), 256)).describe()
MANIFEST, NAMES, BROKEN = (Path("data", name) for name in ("manifest.tsv", "classes.txt", "broken.tsv"))
FRAMES, LMDB, STATS, PREDICTIONS = (Path("data", name) for name in ("frames", "lmdb", "stats", "predictions"))


def make_videos(rows: int, held_out: int, _: int) -> None:
    """Write labels.csv and a sparse file for each row, a thousand a folder; one to five labels, the first by turns.

    Where labels are folders (`dataset.format`), the file lies in that of its first, and there is no labels.csv.
    """
    by_class = params.load("dataset", DatasetConfig).format == "class_folders"
    rng = np.random.default_rng(0)
    more = rng.integers(CLASSES, size=(rows, 4))
    counts = np.minimum(rng.poisson(1.0, rows), 4)
    places = rng.permutation(rows)  # the splits are spread over the list
    lines = ["path,labels,split\n"]
    for row in range(rows):
        path = Path("videos", f"class {row % CLASSES:03d}" if by_class else f"{row // 1000:04d}", f"clip_{row:07d}.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        content = row - (row % ONE_COPY_OF == ONE_COPY_OF - 1)
        with path.open("wb") as file:
            file.write(f"{content}".encode())
            file.truncate(5000 + content % 977)
        labels = ";".join(f"class {number:03d}" for number in {row % CLASSES, *more[row, : counts[row]].tolist()})
        split = "val" if places[row] < held_out else "test" if places[row] < 2 * held_out else "train"
        lines.append(f"{path.relative_to('videos')},{labels},{split}\n")
    if not by_class:
        Path("labels.csv").write_text("".join(lines), encoding="utf-8")


def find_doubles(*_: int) -> None:
    """Find the copies in a corpus whose fingerprints are known."""
    corpus, began = Manifest.read(MANIFEST, NAMES), time.process_time()
    sets = doubles.find(corpus, Path("videos"), Path("scratch", "index"), workers=2)
    found = doubles.table(corpus, sets, sets > -2)
    print(f"> {found['set'].nunique():,} sets in {time.process_time() - began:.1f} CPU s, besides reading the manifest")


def make_frames(*_: int) -> None:
    """Pack one tiny frame of each video, but of the broken ones, and write both indexes and the list of those."""
    corpus, shards = Manifest.read(MANIFEST, NAMES), params.load("extract", ExtractConfig).shards
    lost = corpus.table.iloc[ONE_BROKEN_OF - 1 :: ONE_BROKEN_OF]
    write_broken(BROKEN, (BrokenVideo(r.video, r.split, r.path, "truncated", "cut") for r in lost.itertuples()))
    seen = sorted(corpus.without(lost["video"]).videos)
    index = pd.DataFrame({"video": seen, "shard": [f"shard-{shard_number(video, shards):05d}" for video in seen]})
    index = index.assign(frames=1, width=40, height=32, promised=1, decoded=1, damaged=0, note="")
    value = frame_store.encode([simplejpeg.encode_jpeg(np.full((32, 40, 3), 99, np.uint8))], 40, 32)
    LMDB.mkdir()
    for shard, its in index.groupby("shard"):
        frame_store.write_shard(LMDB / f"{shard}.lmdb", ((video, value) for video in its["video"]))
    lmdb_pages.write(LMDB)
    frame_index.write_packed(LMDB / frame_index.FILE, index)
    FRAMES.mkdir()
    frame_index.write(FRAMES / frame_index.FILE, index)


def plan_shards(*_: int) -> None:
    """Plan the shards of the corpus."""
    shards = plan(Manifest.read(MANIFEST, NAMES), params.load("extract", ExtractConfig), "7.0")
    print(f"> {len(shards)} shards of at most {max(len(shard.rows) for shard in shards):,} videos")


def write_member(*_: int) -> None:
    """Write the prediction files of the first member, as stage `infer` does."""
    _write_members(range(1))
    size = sum(file.stat().st_size for file in PREDICTIONS.glob("*/*"))
    print(f"> {len(GRID['views'])} views, {size / 1e9:.2f} GB")


def make_members(_: int, __: int, members: int) -> None:
    """Write those of the other members."""
    _write_members(range(1, members))


def _write_members(numbers: range) -> None:
    """Write the prediction files of members that agree in part with the labels and with one another."""
    corpus, store, prior = Manifest.read(MANIFEST, NAMES), FrameStore(LMDB), ClassStatistics.read(STATS).prior
    shape = len(GRID["views"]), CLASSES
    for number in numbers:
        out = PREDICTIONS / f"m{number:02d}"
        out.mkdir(parents=True)
        own = np.random.default_rng(1 + number)
        for split in SPLITS:
            part, shared = corpus.split(split), np.random.default_rng(0)
            broken = np.array([video not in store for video in part.videos])
            scores = (
                (3 + number / 10) * labels + shared.standard_normal(CLASSES, np.float32) - 4
                + own.standard_normal(CLASSES, np.float32) + own.standard_normal(shape, np.float32)
                for labels in part.targets()[~broken].astype(np.float32)
            )  # fmt: skip
            write_split(out, split, corpus, broken, scores, prior, GRID, FINAL, {"checkpoint": f"{number:02d}" * 32})
        checksums.seal(out)


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
