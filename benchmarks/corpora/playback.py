"""Corpus `playback`: your own real clips, each of them played forwards or backwards, which is its one label.

    python benchmarks/corpora/playback.py CLIPS OUT --seed 0

CLIPS is a folder of videos of one kind, of 2.7 s or more and without cuts: GRID/s1 of the corpus `talker`, for example.
Of a random choice of them, 1.6 s are cut out at random, so that the pause before a sentence does not give it away,
mirrored or not, cropped a little and re-encoded; OUT/labels.csv has the columns path,label. No video is there twice.
What tells the classes apart is the order of frames alone: the arrow of time (Wei et al., CVPR 2018).
"""

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

import footage
import imageio_ffmpeg
import numpy as np

CLASSES = ("forwards", "backwards")
SUFFIXES = {".avi", ".mkv", ".mov", ".mp4", ".mpg", ".webm"}
HEIGHT = 144  # pixels
STARTS, LENGTH = (0.3, 1.1), 1.6  # seconds: where a clip begins in its video, and how long it is


@dataclass(frozen=True)
class Clip:
    """What is made of a file.

    `start` is in seconds; `zoom` is the share of its sides that is kept, `x` and `y` where, all from 0 to 1.
    """

    source: Path
    label: str
    mirrored: bool
    start: float
    zoom: float
    x: float
    y: float
    crf: int

    @property
    def filters(self) -> str:
        """The chain of FFmpeg's filters."""
        keep = f"iw*{self.zoom:.3f}:ih*{self.zoom:.3f}:(iw-ow)*{self.x:.3f}:(ih-oh)*{self.y:.3f}"
        chain = [
            f"trim={self.start:.2f}:{self.start + LENGTH:.2f}",
            "setpts=PTS-STARTPTS",
            "fps=25",
            f"crop={keep}",
            f"scale=-2:{HEIGHT}",
        ]
        return ",".join(chain + ["hflip"] * self.mirrored + ["reverse"] * (self.label == "backwards"))


def draw_clips(files: list[Path], seed: int, count: int) -> list[Clip]:
    """A random choice of the files, one half of each label."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(np.array(files, dtype=object), count, replace=False)
    return [
        Clip(
            file,
            CLASSES[number % 2],
            bool(rng.random() < 0.5),
            rng.uniform(*STARTS),
            *rng.uniform((0.8, 0, 0), 1),
            int(rng.integers(23, 34)),
        )
        for number, file in enumerate(chosen)
    ]


def write(out: Path, clip: Clip) -> tuple[str, str]:
    """Write one clip, without sound; its line of the CSV."""
    name = f"{clip.source.stem}.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(clip.source), "-an"]
    command += ["-vf", clip.filters, "-c:v", "libx264", "-crf", str(clip.crf), "-threads", "1", str(out / name)]
    subprocess.run(command, check=True)
    return name, clip.label


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="CLIPS", help="folder of videos")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the clips and labels.csv")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is random (default: 0)")
    parser.add_argument("--clips", type=int, default=250, help="number of clips (default: 250)")
    parser.add_argument("--workers", type=int, default=2, help="processes that encode (default: 2)")
    given = parser.parse_args()
    files = sorted(file for file in given.source.iterdir() if file.suffix.lower() in SUFFIXES)
    if len(files) < given.clips:
        parser.error(f"{given.source} holds {len(files)} videos, fewer than --clips {given.clips}")
    clips = draw_clips(files, given.seed, given.clips)
    footage.write_corpus(given.out, ("path", "label"), clips, write, given.workers)
