"""Packing against a plain copy of the same bytes on as many cores, and against its parts by themselves.

    python benchmarks/pack.py [--megabytes 400] [--shards 4] [--workers 2] [--rounds 3] [--folder DIR]

Frames of 15 to 50 kB (random bytes: nobody decodes them), 90 a video, in one tar a shard. Each way does its shards in
as many processes, in turns with the others; every written file is synced to the disk, since packing does that, too. CPU
time is that of all processes; memory the most of one of them.
"""

import argparse
import io
import os
import resource
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.clips import frame_store, packing, tar_shards
from pipeline.core import files, frame_index
from pipeline.runtime.allocator import keep_freed_memory

FRAMES, SMALLEST, LARGEST = 90, 15_000, 50_000


@dataclass
class Spent:
    """What a way took: seconds by the clock, CPU seconds, megabytes of the largest process."""

    wall: float
    cpu: float
    memory: float


def make(folder: Path, megabytes: float, shards: int) -> int:
    """Write tars and their index as stage `extract` does; the number of their bytes."""
    rng, rows = np.random.default_rng(0), []
    videos = max(1, round(megabytes * 1e6 / shards / FRAMES / ((SMALLEST + LARGEST) / 2)))
    for shard in range(shards):
        with tarfile.open(folder / f"shard-{shard:05d}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            for video in range(videos):
                name = f"{shard:05d}/{video:06d}.mp4"
                for number in range(FRAMES):
                    entry = tarfile.TarInfo(f"{name}/{number:06d}.jpg")
                    entry.size = int(rng.integers(SMALLEST, LARGEST))
                    tar.addfile(entry, io.BytesIO(rng.bytes(entry.size)))
                rows.append((name, f"shard-{shard:05d}", FRAMES, 426, 320, FRAMES, FRAMES, 0, ""))
    frame_index.write(folder / frame_index.FILE, pd.DataFrame(rows, columns=list(frame_index.COLUMNS)))
    return sum(tar.stat().st_size for tar in folder.glob("*.tar"))


def copy(out: Path, tar: Path) -> None:
    with tar.open("rb") as source, (out / tar.name).open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def hash_twice(out: Path, tar: Path) -> None:
    del out
    files.file_hash(tar)
    files.file_hash(tar)


def read(out: Path, tar: Path) -> None:
    del out
    for _ in tar_shards.videos(tar, frames_of(tar)):
        pass


def write_lmdb(out: Path, tar: Path) -> None:
    """LMDB alone: values of the same number of bytes, which are in memory already."""
    value = bytes(FRAMES * (SMALLEST + LARGEST) // 2)
    names = sorted(frames_of(tar))
    frame_store.write_shard(out / f"{tar.stem}.lmdb", ((name, value) for name in names))


def frames_of(tar: Path) -> dict[str, int]:
    index = frame_index.read(tar.parent / frame_index.FILE)
    return {row.video: row.frames for row in index[index["shard"] == tar.stem].itertuples()}


def in_processes(work: Callable[[Path, Path], None], frames: Path, out: Path, workers: int) -> None:
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        list(pool.map(partial(work, out), sorted(frames.glob("*.tar"))))


def pack(frames: Path, out: Path, workers: int) -> None:
    (out / "scratch").mkdir()
    packing.pack(frames, out / "lmdb", out / "scratch", workers)


def spent(way: Callable[[Path, Path, int], object], frames: Path, folder: Path, workers: int) -> Spent:
    """What a way takes, in a process of its own and the processes that it starts."""
    out = folder / "out"
    out.mkdir()
    os.sync()
    start, reader = time.perf_counter(), os.pipe()
    if (child := os.fork()) == 0:
        keep_freed_memory()
        way(frames, out, workers)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(one.ru_utime + one.ru_stime for one in used)
        os.write(reader[1], f"{cpu} {max(one.ru_maxrss for one in used) / 1e3}".encode())
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    wall = time.perf_counter() - start
    assert status == 0, "a way has failed; see above"
    cpu, memory = map(float, os.read(reader[0], 100).split())
    shutil.rmtree(out)
    return Spent(wall, cpu, memory)


WAYS = {
    "copy": partial(in_processes, copy),
    "pack": pack,
    "LMDB alone": partial(in_processes, write_lmdb),
    "reading tars alone": partial(in_processes, read),
    "SHA-256 of tar and LMDB alone": partial(in_processes, hash_twice),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (frames := folder / "frames").mkdir()
        size = make(frames, options.megabytes, options.shards)
        found: dict[str, list[Spent]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, run in WAYS.items():
                found[way].append(spent(run, frames, folder, options.workers))
    setting = f"{options.shards} shards, {options.workers} processes, {options.rounds} rounds (medians)"
    print(f"{size / 1e6:.0f} MB, {setting}\n")
    print("| way | wall s | CPU s | MB a CPU second | of a copy: wall | CPU | most MB of a process |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for way, rounds in found.items():
        print(f"| {way} | {row(rounds, found['copy'], size)} |")


def row(rounds: list[Spent], copies: list[Spent], size: int) -> str:
    """The cells of a way, beside the copies of the same rounds."""
    wall, cpu, memory = (statistics.median(getattr(one, key) for one in rounds) for key in ("wall", "cpu", "memory"))
    of_wall = statistics.median(base.wall / one.wall for base, one in zip(copies, rounds, strict=True))
    of_cpu = statistics.median(base.cpu / one.cpu for base, one in zip(copies, rounds, strict=True))
    return f"{wall:.2f} | {cpu:.2f} | {size / 1e6 / cpu:.0f} | {of_wall:.0%} | {of_cpu:.0%} | {memory:.0f}"


if __name__ == "__main__":
    main()
