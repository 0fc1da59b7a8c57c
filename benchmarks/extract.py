"""Extraction against bare FFmpeg with the same filters and JPEGs, on one core, and against its parts by themselves.

    python benchmarks/extract.py [--clips 12] [--seconds 3] [--rounds 5] [--folder DIR]

Clips of 340x256 pixels (a moving test picture under noise, H.264); each way does all of them, one after another, in
turns with the others. "bare" is the call of the extraction without what FFmpeg says of each picture, into a folder that
is deleted. CPU time is that of all processes; shares are of the bare call of the same round.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imageio_ffmpeg

from pipeline.core.machine import Machine
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from pipeline.extraction.ffmpeg import PLAIN, command, extract_frames
from pipeline.extraction.span import Span

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CONFIG = ExtractConfig(fps=30, short_side=320, jpeg_qscale=2, timeout_seconds=120, shards=1)


def draw(folder: Path, clips: int, seconds: float) -> list[Path]:
    picture = f"testsrc2=size=340x256:rate=30:duration={seconds}"
    for number in range(clips):
        noise = f"noise=alls=12:allf=t:all_seed={number},format=yuv420p"
        call = ["-f", "lavfi", "-i", picture, "-vf", noise, "-c:v", "libx264", folder / f"{number}.mp4"]
        subprocess.run([FFMPEG, "-v", "error", *call], check=True, stdin=subprocess.DEVNULL)
    return sorted(folder.iterdir())


def bare(out: Path, clips: list[Path], says: bool) -> None:
    """The call of the extraction itself; with `says`, FFmpeg tells of each picture, to nobody."""
    for clip in clips:
        (folder := out / clip.stem).mkdir()
        with clip.open("rb") as file:
            call = command(file, PLAIN, CONFIG, FFMPEG, Span(CONFIG.fps))
            if not says:
                call.remove("-debug_ts")
                call[call.index("-loglevel") + 1] = "error"
            subprocess.run(call, cwd=folder, pass_fds=[file.fileno()], stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)  # fmt: skip
        shutil.rmtree(folder)


def looks(out: Path, clips: list[Path]) -> None:
    """A run of FFmpeg for each clip that says what is in it."""
    del out
    for clip in clips:
        call = [FFMPEG, "-hide_banner", "-i", clip]
        subprocess.run(call, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def frames(out: Path, clips: list[Path]) -> None:
    """Frames and verdicts, without tars."""
    for clip in clips:
        (folder := out / clip.stem).mkdir()
        extract_frames(clip, folder, CONFIG, FFMPEG)
        shutil.rmtree(folder)


def extract(out: Path, clips: list[Path]) -> None:
    records = [VideoRecord(p.name, SPLITS[n % 3], p.name, "x", "1-x") for n, p in enumerate(clips)]
    machine = Machine(1, 1, "cpu", 1, "32", False, None, "auto", False, str(out / "work"), None, 60)
    manifest = Manifest.from_records(records, ["x"])
    extract_corpus(manifest, clips[0].parent, out / "frames", out / "broken.tsv", CONFIG, machine)


WAYS: dict[str, Callable[[Path, list[Path]], None]] = {
    "bare FFmpeg": partial(bare, says=False),
    "extract": extract,
    "frames and verdicts, no tar": frames,
    "bare FFmpeg that tells of each picture": partial(bare, says=True),
    "looking at each file alone": looks,
}


def spent(way: Callable[[Path, list[Path]], None], folder: Path, clips: list[Path]) -> tuple[float, float, float]:
    """Seconds by the clock, CPU seconds of Python and of FFmpeg."""
    (out := folder / "out").mkdir()
    start, before = time.perf_counter(), cpu()
    way(out, clips)
    wall, after = time.perf_counter() - start, cpu()
    shutil.rmtree(out)
    return wall, after[0] - before[0], after[1] - before[1]


def cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return used[0].ru_utime + used[0].ru_stime, used[1].ru_utime + used[1].ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    options = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        (videos := Path(name) / "videos").mkdir()
        clips = draw(videos, max(len(SPLITS), options.clips), options.seconds)
        found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, run in WAYS.items():
                found[way].append(spent(run, Path(name), clips))
    print(f"{len(clips)} clips of {options.seconds:g} s, {options.rounds} rounds (medians)\n")
    print("| way | wall ms a clip | CPU ms a clip | of it Python | bare FFmpeg's CPU time in it |")
    print("|---|---:|---:|---:|---:|")
    for way, rounds in found.items():
        wall, python, all_of_it = (1e3 / len(clips) * statistics.median(each) for each in zip(
            *((wall, python, python + ffmpeg) for wall, python, ffmpeg in rounds), strict=True))  # fmt: skip
        pairs = zip(found["bare FFmpeg"], rounds, strict=True)
        share = statistics.median(sum(base[1:]) / sum(one[1:]) for base, one in pairs)
        print(f"| {way} | {wall:.0f} | {all_of_it:.1f} | {python:.1f} | {share:.1%} |")


if __name__ == "__main__":
    main()
