"""The built-in corpus: a small, learnable set of real video files, rendered from a seed.

    root/videos/<split>/<name>.mp4   three-second clips, most with sound, and a few files that are broken on purpose
    root/annotations.csv             path (inside videos/), labels (separated by ';'), split

The broken files are listed like any other, since that is how one meets them: a corpus in which nothing is ever
broken would not show what the pipeline does about it. What the clips show is told in clip.py, and what is heard in
sound.py.
"""

import csv
import os
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import ffmpeg as commands
import numpy as np

from pipeline.core import files, params
from pipeline.core.progress_bar import progress_bar
from pipeline.demo.clip import CLASSES, FPS, HEIGHT, MOTIONS, WIDTH, Scene, draw_clip, render_clip
from pipeline.demo.sound import RATE, render_sound, silent

SPLITS = ("train", "val", "test")
BROKEN = {
    "train": ("empty", "truncated", "audio_only", "text", "cut_short"),
    "val": ("truncated", "text"),
    "test": ("empty", "audio_only"),
}
"""The broken files of each split. A name says what is wrong."""
H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p", "threads": 1}
FLAC = {"acodec": "flac"}  # of integers, so that every processor writes the same bytes
BITEXACT = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1}  # no dates, no versions


@dataclass(frozen=True)
class DemoConfig:
    """Which corpus to render. The broken files come on top of the counts."""

    seed: int = 0
    """Seed of all that is random in the clips; 0 or more."""
    train: int = 700
    """Whole clips of the train split."""
    val: int = 180
    """Whole clips of the val split."""
    test: int = 240
    """Whole clips of the test split."""
    broken: bool = True
    """Whether to add the files of `BROKEN`."""

    def __post_init__(self) -> None:
        params.require(
            (
                self.train >= len(MOTIONS),
                f"train must be at least {len(MOTIONS)}, or some class has no clip to learn from",
            ),
            (min(self.seed, self.val, self.test) >= 0, "seed, val and test must not be negative"),
        )


@dataclass(frozen=True)
class Clip:
    """One file to write, and what its scene is drawn from."""

    seed: int
    split: str
    index: int
    name: str

    @property
    def path(self) -> str:
        """Inside the folder of videos."""
        return f"{self.split}/{self.name}.mp4"

    def scene(self) -> Scene:
        """A random scene; the first of train are drawn until, together, they show every class."""
        first = self.split == "train" and self.index < len(MOTIONS)
        wanted = set(CLASSES[self.index :: len(MOTIONS)] if first else ())
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), self.index])
        scene = draw_clip(rng)
        while not wanted.issubset(scene.labels):
            scene = draw_clip(rng)
        return scene


def render_corpus(root: Path, config: DemoConfig, workers: int, ffmpeg: str) -> None:
    """Write the whole corpus to `root`, all or nothing; what was there is replaced.

    Each clip follows from the seed, its split and its number alone, so the same configuration and FFmpeg give the
    same bytes, whatever the number of workers.
    """
    clips = list(_clips(config))
    with files.aside(root) as folder:
        for split in SPLITS:
            (folder / "videos" / split).mkdir(parents=True)
        write = partial(_write, folder / "videos", ffmpeg)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            labels = list(progress_bar(pool.map(write, clips), total=len(clips), desc="render", unit="clip"))
        with (folder / "annotations.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["path", "labels", "split"])
            table.writerows([c.path, ";".join(words), c.split] for c, words in zip(clips, labels, strict=True))


def _clips(config: DemoConfig) -> Iterator[Clip]:
    for split in SPLITS:
        good: int = getattr(config, split)
        names = [f"clip_{number:04d}" for number in range(1, good + 1)]
        for index, name in enumerate([*names, *(BROKEN[split] if config.broken else ())]):
            yield Clip(config.seed, split, index, name)


def _write(videos: Path, ffmpeg: str, clip: Clip) -> list[str]:
    """Write one file, sound or broken in the way that its name says; the labels of its scene."""
    path, scene = videos / clip.path, clip.scene()
    match clip.name:
        case "empty":
            path.touch()
        case "truncated":  # its index stood at the end, which is lost
            _encode(path, scene, ffmpeg)
            _keep(path, 1 / 3)
        case "cut_short":  # its index stands in front and promises twice the frames that are there
            _encode(path, scene, ffmpeg, movflags="+faststart")
            _keep(path, 1 / 2)
        case "audio_only":
            with NamedTemporaryFile(suffix=".pcm") as file:
                _call(_sound(scene, file).output(str(path), **FLAC, **BITEXACT), ffmpeg)
        case "text":
            path.write_bytes(b"This is a text file that somebody renamed to .mp4.\n" * 20)
        case _:
            _encode(path, scene, ffmpeg)
    return scene.labels


def _encode(path: Path, scene: Scene, ffmpeg: str, **container: str) -> None:
    size = f"{WIDTH}x{HEIGHT}"
    pictures = commands.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=size, r=FPS)
    with NamedTemporaryFile(suffix=".pcm") as file:
        streams = [pictures] if silent(scene) else [pictures, _sound(scene, file)]
        output = commands.output(*streams, str(path), **H264, **FLAC, **BITEXACT, **container)
        _call(output, ffmpeg, render_clip(scene).tobytes())


def _sound(scene: Scene, file: IO[bytes]) -> commands.nodes.FilterableStream:
    """The sound of a scene as an input of FFmpeg, which reads it from `file`."""
    file.write(render_sound(scene).astype("<i2").tobytes())
    file.flush()
    return commands.input(file.name, format="s16le", ar=RATE, ac=1)


def _call(stream: commands.nodes.OutputStream, ffmpeg: str, stdin: bytes = b"") -> None:
    command = stream.global_args("-v", "error", "-nostats").compile(cmd=ffmpeg)
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.stderr.decode(errors='replace').strip()}")


def _keep(path: Path, part: float) -> None:
    os.truncate(path, int(path.stat().st_size * part))
