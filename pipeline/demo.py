"""The built-in corpus: a small, learnable set of real video files, the same to the byte wherever it is rendered.

    root/videos/<split>/<name>.mp4   three-second clips, H.264; and a few files broken on purpose
    root/annotations.csv             path (inside videos/), labels (separated by ';'), split

The broken files are listed like any other, since that is how one meets them: a corpus that never breaks would not
show what the pipeline does about it.
"""

import csv
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import ffmpeg as ffmpeg_command
import numpy as np
from tqdm import tqdm

from pipeline import demo_clip, work
from pipeline.demo_clip import CLASSES, MOTIONS, Scene

SPLITS = ("train", "val", "test")
BROKEN = {
    "train": ("empty", "truncated", "audio_only", "text", "cut_short"),
    "val": ("truncated", "text"),
    "test": ("empty", "audio_only"),
}
"""File names of the broken clips; `WRITERS` says what is wrong with each."""


@dataclass(frozen=True)
class DemoConfig:
    """Which corpus to render. The broken files come on top of the counts."""

    seed: int
    train: int = 700
    val: int = 180
    test: int = 240
    broken: bool = True
    """Whether to add the files of `BROKEN`."""

    def __post_init__(self) -> None:
        if self.train < len(MOTIONS):
            raise ValueError(f"train must be at least {len(MOTIONS)}, or some class has no clip to learn from")
        if min(self.seed, self.val, self.test) < 0:
            raise ValueError("seed, val and test must not be negative")


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
        """A random scene. Among the first scenes of train, every class occurs."""
        wanted = CLASSES[self.index :: len(MOTIONS)] if self._must_teach() else ()
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), self.index])
        while True:
            scene = demo_clip.draw(rng)
            if set(wanted) <= set(scene.labels):
                return scene

    def _must_teach(self) -> bool:
        return self.split == "train" and self.index < len(MOTIONS)


def render(root: Path, config: DemoConfig, workers: int, ffmpeg: str) -> None:
    """Write the whole corpus under `root`, all or nothing; a corpus that is there already is replaced.

    The bytes depend on `config` and on the FFmpeg at `ffmpeg`, not on the number of `workers`.
    """
    clips = list(_clips(config))
    with work.aside(root) as folder:
        for split in SPLITS:
            (folder / "videos" / split).mkdir(parents=True)
        write = partial(_write, folder / "videos", ffmpeg)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            labels = list(tqdm(pool.map(write, clips), total=len(clips), desc="render", unit="clip"))
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
    """Write one file; the labels of its scene."""
    scene = clip.scene()
    WRITERS.get(clip.name, _encode)(videos / clip.path, scene, ffmpeg)
    return scene.labels


# Writers: a scene -> a file, a sound one or one that is broken in its own way.


def _encode(path: Path, scene: Scene, ffmpeg: str, **container: str) -> None:
    size = f"{demo_clip.WIDTH}x{demo_clip.HEIGHT}"
    raw = ffmpeg_command.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=size, r=demo_clip.FPS)
    quality = {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p", "threads": 1}
    _call(raw.output(str(path), **quality, **BITEXACT, **container), ffmpeg, demo_clip.render(scene).tobytes())


def _empty(path: Path, scene: Scene, ffmpeg: str) -> None:
    path.touch()


def _truncated(path: Path, scene: Scene, ffmpeg: str) -> None:
    """No index: it stood at the end of the file, which is lost."""
    _encode(path, scene, ffmpeg)
    _keep(path, 1 / 3)


def _cut_short(path: Path, scene: Scene, ffmpeg: str) -> None:
    """An index in front that promises twice the frames that are there."""
    _encode(path, scene, ffmpeg, movflags="+faststart")
    _keep(path, 1 / 2)


def _audio_only(path: Path, scene: Scene, ffmpeg: str) -> None:
    tone = ffmpeg_command.input(f"sine=frequency=440:duration={demo_clip.FRAMES / demo_clip.FPS}", format="lavfi")
    _call(tone.output(str(path), acodec="aac", **BITEXACT), ffmpeg)


def _text(path: Path, scene: Scene, ffmpeg: str) -> None:
    path.write_text("This is a text file that somebody renamed to .mp4.\n" * 20, encoding="utf-8", newline="\n")


WRITERS: dict[str, Callable[[Path, Scene, str], None]] = {
    "empty": _empty,
    "truncated": _truncated,
    "cut_short": _cut_short,
    "audio_only": _audio_only,
    "text": _text,
}
BITEXACT = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1}  # no dates, no versions


def _keep(path: Path, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def _call(stream: ffmpeg_command.nodes.OutputStream, ffmpeg: str, stdin: bytes = b"") -> None:
    command = stream.global_args("-v", "error", "-nostats").compile(cmd=ffmpeg)
    done = subprocess.run(command, input=stdin, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"FFmpeg could not write {command[-1]}: {reason}")
