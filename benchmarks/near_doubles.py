"""How many copies `pipeline doubles` finds, how many other pairs it takes for copies, and how long it takes.

    python benchmarks/near_doubles.py                   # the time that 20,000 made-up videos take
    python benchmarks/near_doubles.py --rates FOLDER    # of whole videos of which none is another's copy

With a folder it re-encodes 30 of its videos in several ways, and looks for each copy among all videos.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from pipeline.clips import jpeg
from pipeline.core import video_files
from pipeline.core.machine import load_machine
from pipeline.near_doubles import motion, search

FFMPEG = load_machine().ffmpeg_path()
COPIES = 30
LEAST = (0.7, 0.75, 0.8, 0.85)
EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
ALL = "fps=24,crop=trunc(iw*0.48)*2:trunc(ih*0.48)*2,scale=trunc(iw/4)*2:trunc(ih/4)*2,eq=brightness=0.06:contrast=1.1"
LOGO = "drawbox=x=iw*0.8:y=ih*0.04:w=iw*0.16:h=ih*0.1:color=white:t=fill"
EDITS = {  # what is done to a video -> filters, CRF, seconds that are cut off at its begin
    "CRF 35": (EVEN, 35, 0.0),
    "half size": ("scale=trunc(iw/4)*2:trunc(ih/4)*2", 23, 0.0),
    "24 frames/s": (f"fps=24,{EVEN}", 23, 0.0),
    "brighter": (f"eq=brightness=0.08:contrast=1.15,{EVEN}", 23, 0.0),
    "logo": (f"{LOGO},{EVEN}", 23, 0.0),
    "0.3 s cut off": (EVEN, 23, 0.3),
    "cropped to 90 %": ("crop=trunc(iw*0.45)*2:trunc(ih*0.45)*2", 23, 0.0),
    "all, cropped to 96 %": (ALL, 35, 0.3),
}


def frames_of(video: Path) -> np.ndarray:
    """What motion.frames gives of a video that has been extracted, but for the losses of its JPEGs."""
    size = motion.SIDE
    command = f"-v error -threads 1 -i FILE -vf fps={motion.RATE},scale={size}:{size}:flags=area,format=gray"
    raw = _ffmpeg(command, video, "-f", "rawvideo", "-")
    found = np.frombuffer(raw, np.uint8).reshape(-1, size * size)
    before = max(0, len(found) - motion.MOST) // 2
    return found[before:][: motion.MOST]


def edited(video: Path, edit: str, folder: Path) -> np.ndarray:
    """The same of an edited copy."""
    filters, crf, cut = EDITS[edit]
    copy = folder / "copy.mp4"
    command = f"-v error -y -threads 1 -ss {cut} -i FILE -vf {filters} -c:v libx264 -threads 1 -preset veryfast -an"
    _ffmpeg(command, video, "-crf", str(crf), str(copy))
    return frames_of(copy)


def alike(videos: Sequence[np.ndarray]) -> dict[tuple[int, int], float]:
    """The likeness of each pair that is compared closely; no still video is in one."""
    rows = np.array([row for row, frames in enumerate(videos) if not motion.is_still(frames)], int)
    outlines = np.array([motion.outline(videos[row]) for row in rows], np.float32).reshape(-1, motion.OUTLINE)
    return {(a, b): motion.likeness(videos[a], videos[b]) for a, b in rows[search.nearest(outlines)].tolist()}


def rates(folder: Path) -> None:
    """Print the table of one folder."""
    paths, videos = [], []
    for path in video_files.inside(folder):
        try:
            videos.append(frames_of(path))
            paths.append(path)
        except subprocess.CalledProcessError:
            print(f"{path} is left out, as FFmpeg does not read it")
    found = np.array(list(alike(videos).values()))
    still = sum(motion.is_still(frames) for frames in videos)
    pairs = len(videos) * (len(videos) - 1) // 2
    print(f"{folder}: {len(videos)} videos, {still} still, {pairs:,} pairs, the most alike {found.max():.2f}")
    print(f"{'':22}" + "".join(f"{least:>8}" for least in LEAST))
    print(f"{'other pairs':22}" + "".join(f"{(found >= least).sum():>8}" for least in LEAST))
    chosen = np.sort(np.random.default_rng(0).permutation(len(videos))[:COPIES])
    with tempfile.TemporaryDirectory() as scratch:
        for edit in EDITS:
            copies = [edited(paths[row], edit, Path(scratch)) for row in chosen]
            compared = alike([*videos, *copies])
            own = np.array([compared.get((row, len(videos) + n), -1.0) for n, row in enumerate(chosen)])
            print(f"{edit:22}" + "".join(f"{(own >= least).mean():>8.0%}" for least in LEAST), flush=True)


def times(videos: int) -> None:
    """Print what each part takes for some videos, in seconds of CPU and in memory."""
    seeds = np.random.default_rng(0)
    picture = seeds.integers(0, 255, (128, 170, 3), np.uint8)
    encoded = simplejpeg.encode_jpeg(picture, 85, "RGB")
    with _Clock(f"decoding {motion.MOST} frames of 128 x 170 pixels, a video"):
        for _ in range(motion.MOST):
            jpeg.decode(encoded, motion.SIDE, motion.SIDE)
    outlines = seeds.normal(size=(videos, motion.OUTLINE)).astype(np.float32)
    outlines /= np.linalg.norm(outlines, axis=1, keepdims=True)
    with _Clock(f"every outline of {videos:,} with every other"):
        pairs = search.nearest(outlines)
    frames = seeds.integers(0, 255, (2, motion.MOST, motion.SIDE**2)).astype(np.uint8)
    with _Clock(f"1,000 of {len(pairs):,} pairs closely"):
        for _ in range(1000):
            motion.likeness(*frames)
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


class _Clock:
    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        print(f"{self.what}: {cpu:.3f} s of CPU, {wall:.3f} s", flush=True)


def _ffmpeg(command: str, video: Path, *rest: str) -> bytes:
    words = [str(video) if word == "FILE" else word for word in command.split()]
    return subprocess.run([FFMPEG, *words, *rest], stdout=subprocess.PIPE, check=True).stdout


def main() -> None:
    """Run the one or the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=Path, metavar="FOLDER", help="what is found of the videos of a folder")
    parser.add_argument("--smoke", action="store_true", help="200 made-up videos")
    args = parser.parse_args()
    if args.rates:
        rates(args.rates)
    else:
        times(200 if args.smoke else 20_000)


if __name__ == "__main__":
    main()
