"""What makes drawn clips look like footage: places, a hand-held camera, changing light, sensor noise, compression.

Positions are in frame heights from the middle of the frame, x to the right and y down; times run from 0 to 1 over the
clip. Frames are drawn at twice their size and twice a frame, then averaged: smooth edges and motion blur. Nothing here
tells a clip from its reversal: light, camera and passers-by are as likely to go one way as the other.
"""

import argparse
import csv
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating]
Random = np.random.Generator
Colour = tuple[int, int, int]
SUPER = 2  # pixels of a drawing along one pixel of a frame
EXPOSURES = 2  # drawings averaged into a frame
MARGIN = 1.5  # height and width of a place, in frames


@dataclass(frozen=True)
class Device:
    """A camera: its frames and its files."""

    width: int
    height: int
    fps: int
    suffix: str
    quality: int  # crf of H.264, or qscale of MPEG-4
    noise: float  # standard deviation, of 255
    shake: float  # standard deviation, in frame heights
    tint: tuple[float, float, float]


def draw_device(rng: Random) -> Device:
    """A random camera; one in eight writes MPEG-4 to .avi."""
    width, height = [(320, 240), (426, 240), (320, 240), (176, 144)][rng.integers(4)]
    mpeg4 = rng.random() < 0.125
    return Device(
        width,
        height,
        fps=int(rng.choice([15, 25, 30])),
        suffix=".avi" if mpeg4 else ".mp4",
        quality=int(rng.integers(4, 9) if mpeg4 else rng.integers(23, 39)),
        noise=float(rng.uniform(1, 9)),
        shake=float(rng.choice([0.001, 0.004, 0.008])),
        tint=tuple(rng.uniform(0.88, 1.08, 3)),
    )


def smooth_noise(rng: Random, length: int, width: float) -> Array:
    """(length,): noise with standard deviation 1 that forgets itself within about `width` samples."""
    reach = int(3 * width) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(rng.standard_normal(length + 2 * reach), kernel / np.linalg.norm(kernel), mode="valid")


class View:
    """One exposure: where points of the world lie on the drawing."""

    def __init__(self, device: Device, shift: tuple[float, float], zoom: float):
        self.size = (device.width * SUPER, device.height * SUPER)
        self.scale = device.height * SUPER * zoom
        self.shift = shift

    def at(self, point: Sequence[float] | Array) -> tuple[float, float]:
        """The pixel of a point in frame heights."""
        return (
            self.size[0] / 2 + self.scale * (point[0] + self.shift[0]),
            self.size[1] / 2 + self.scale * (point[1] + self.shift[1]),
        )

    def backdrop(self, place: Image.Image) -> Image.Image:
        """What of a place, drawn at the size of `SUPER`, the camera sees."""
        step = self.size[1] / self.scale
        left = place.width / 2 - step * self.size[0] / 2 - self.shift[0] * self.size[1]
        top = place.height / 2 - step * self.size[1] / 2 - self.shift[1] * self.size[1]
        return place.transform(self.size, Image.Transform.AFFINE, (step, 0, left, 0, step, top))


def camera_path(rng: Random, device: Device, frames: int, pan: float = 0) -> list[View]:
    """A view for each exposure: shaking, drifting, zooming by up to 8 %, and panning by `pan` frame heights."""
    count = frames * EXPOSURES
    ramp = np.linspace(-0.5, 0.5, count)
    x, y = (device.shake * smooth_noise(rng, count, device.fps * 0.3) for _ in range(2))
    x = x + ramp * (rng.normal(0, 0.02) - pan)
    y = y + ramp * rng.normal(0, 0.02)
    zoom = 1.04 + ramp * rng.uniform(-0.08, 0.08)
    return [View(device, (float(a), float(b)), float(c)) for a, b, c in zip(x, y, zoom, strict=True)]


def film(views: list[View], draw: Callable[[View, float], Image.Image]) -> NDArray[np.uint8]:
    """(T, H, W, 3): `draw` is asked for the image of each exposure, at a time from 0 to 1."""
    frame, exposure = np.divmod(np.arange(len(views)), EXPOSURES)
    open_for = (exposure - (EXPOSURES - 1) / 2) / (2 * EXPOSURES)  # a shutter that is open for half of the time
    times = (frame + 0.5 + open_for) * EXPOSURES / len(views)
    shots = [
        np.asarray(draw(view, float(now)).reduce(SUPER), np.uint16) for view, now in zip(views, times, strict=True)
    ]
    stack = np.stack(shots)
    return (stack.reshape(-1, EXPOSURES, *stack.shape[1:]).sum(1) // EXPOSURES).astype(np.uint8)


def develop(frames: NDArray[np.uint8], device: Device, rng: Random) -> NDArray[np.uint8]:
    """The frames as the device records them: exposure that wavers, a tint, contrast, and grain."""
    count, height, width, _ = frames.shape
    level = rng.uniform(0.75, 1.1) * (1 + rng.choice([0.01, 0.04, 0.12]) * smooth_noise(rng, count, count / 5))
    gain = (np.clip(level, 0.5, 1.35)[:, None] * np.array(device.tint)).astype(np.float32)
    lift = rng.uniform(0, 20)
    grain = (device.noise * rng.standard_normal((2 * height, 2 * width, 3))).astype(np.float32)  # cut out anew
    result = np.empty_like(frames)
    for number, frame in enumerate(frames):
        top, left = rng.integers(height), rng.integers(width)
        result[number] = np.clip(lift + frame * gain[number] + grain[top : top + height, left : left + width], 0, 255)
    return result


def texture(rng: Random, width: int, height: int, low: float, high: float) -> Image.Image:
    """A grey cloud between two levels, with detail at three scales."""
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((3, 1.0), (12, 0.5), (50, 0.35)):
        rough = rng.random((cells, max(2, cells * width // height)), dtype=np.float32)
        total += weight * np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))
    total = (total - total.min()) / np.ptp(total)
    return Image.fromarray((low + (high - low) * total).astype(np.uint8))


def draw_colour(rng: Random, low: int = 30, high: int = 230) -> Colour:
    """A random RGB colour."""
    return tuple(int(value) for value in rng.integers(low, high, 3))


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: `share` of the other."""
    return tuple(int(a + share * (b - a)) for a, b in zip(one, other, strict=True))


def encode(path: Path, frames: NDArray[np.uint8], device: Device) -> None:
    """Write the frames as the device does: H.264, or MPEG-4 where its suffix is .avi."""
    codec = ["-c:v", "mpeg4", "-q:v"] if path.suffix == ".avi" else ["-c:v", "libx264", "-preset", "veryfast", "-crf"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{frames.shape[2]}x{frames.shape[1]}", "-r", str(device.fps), "-i", "-"]
    command += [*codec, str(device.quality), "-pix_fmt", "yuv420p", "-threads", "1", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


def write_corpus(
    out: Path, header: Sequence[str], clips: Sequence[Any], write: Callable[[Path, Any], Sequence[str]], workers: int
) -> None:
    """Write every clip into `out` and labels.csv beside them; `write` returns a line of the CSV."""
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(write, [out] * len(clips), clips))
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    size = sum((out / row[0]).stat().st_size for row in rows) / 1e6
    print(f"{len(rows)} clips, {size:.1f} MB, {time.perf_counter() - start:.0f} s: {out / 'labels.csv'}")


def arguments(description: str | None, clips: int) -> argparse.Namespace:
    """What the scripts are told: OUT, --seed, --clips, --workers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the clips and labels.csv")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is random (default: 0)")
    parser.add_argument("--clips", type=int, default=clips, help=f"number of clips (default: {clips})")
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")
    return parser.parse_args()
