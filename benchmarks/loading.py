"""Training clips: ours, other readers, and what decoding the JPEGs alone takes.

    pip install -e '.[bench]'           # the other readers; torchcodec also needs FFmpeg's shared libraries
    python benchmarks/loading.py        # --smoke: one short clip, to see that it works

Three-second videos are drawn, extracted and packed as the stages do, with `pack.short_sides: [320]` and, for the last
table, `[320, 160]`; the line below it says what the smaller size takes. Readers of videos get the same pictures as
H.264 of 340 x 256 pixels, which is kind to them, and of 160; readers of JPEGs the files. All draw the same frames and
hand over a batch of uint8 clips (N, 3, T, H, W); each reader of videos crops with our code. One thread, rounds that
take turns; the figures are the median of the rounds, CPU time beside the clock's. `limit` decodes the JPEGs of the
clips, at the reduced scale where ours does, and drops the pixels.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import importlib.util
import io
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import simplejpeg
import torch
from PIL import Image

from pipeline.clips import packing, sampling, transforms
from pipeline.clips.dataset import TrainDataset, generator
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.short_sides import PackConfig
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.core import fingerprints
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.markdown import text_table
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from pipeline.runtime.allocator import keep_freed_memory

IMAGE = (SamplerConfig("segments", 8), AugmentConfig("scale_jitter", 224, ratios=(1, 0.875, 0.75, 0.66)))
VIDEO = (SamplerConfig("dense", 32, 2), AugmentConfig("random_side", 112, sides=(128, 160)))
MOTION = "mandelbrot=s=426x320:r=30:start_scale={scale}:end_scale=0.001:end_pts=300"
PICTURES = MOTION + ",noise=alls=8:allf=t:all_seed={seed},gblur"
"""All moves, and has the size of real clips: 29 KB a JPEG, as the report's, and 250 KB an H.264 file of 340 x 256."""
Read = Callable[[Path, np.ndarray], torch.Tensor]
"""File of a video, indices (T,) of frames -> its pixels, uint8 (T, 3, H, W)."""


@dataclass(frozen=True)
class Corpus:
    """The same videos in every form."""

    manifest: Manifest
    store: FrameStore
    """At a short side of 320 pixels."""
    both: FrameStore
    """At 320 and 160."""
    folder: Path
    """Of the H.264 files of 340 x 256 pixels; tiny/ has those of 160, jpegs/<video>/<frame>.jpg those of `store`."""


def draw(folder: Path, videos: int, seconds: int) -> Corpus:
    frames, mp4 = folder / "frames", folder / "mp4"
    (mp4 / "tiny").mkdir(parents=True)
    frames.mkdir()
    names = [f"{number}.mp4" for number in range(videos)]
    for seed, name in enumerate(names, start=1):
        source = ["-f", "lavfi", "-i", PICTURES.format(seed=seed, scale=0.05 + seed / 100), "-t", str(seconds)]
        ffmpeg(*source, "-crf", "12", frames / name)
        ffmpeg(*source, "-vf", "scale=340:256", mp4 / name)
        ffmpeg(*source, "-vf", "scale=-2:160", mp4 / "tiny" / name)
    rows = [VideoRecord(name, "train", name, "a", fingerprints.of_file(frames / name)) for name in names]
    others = [VideoRecord(f"{split}.mp4", split, names[0], "a", rows[0].fingerprint) for split in ("val", "test")]
    manifest = Manifest.from_records([*rows, *others], ["a"])
    stores = pack(folder, frames, manifest)
    for name in names:
        (mp4 / "jpegs" / name).mkdir(parents=True)
        for number, jpeg in enumerate(stores[0].read(name, range(stores[0].frames(name)))):
            (mp4 / "jpegs" / name / f"{number}.jpg").write_bytes(jpeg)
    return Corpus(manifest.split("train"), *stores, mp4)


def ffmpeg(*arguments: object) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-v", "error", *map(str, arguments[:-1]), "-pix_fmt", "yuv420p", arguments[-1]], check=True)


def pack(folder: Path, videos: Path, manifest: Manifest) -> list[FrameStore]:
    """The frames at 320 pixels alone, and at 160 besides."""
    machine = Machine(1, 1, "cpu", 1, "32", False, None, "auto", False, str(folder / "work"), None, 60)
    config = ExtractConfig(30, 320, 2, 120, 1)
    extract_corpus(manifest, videos, folder / "tars", folder / "broken.tsv", config, machine)
    for name, smaller in (("one", ()), ("both", PackConfig((320, 160)).smaller)):
        (folder / "pack" / name).mkdir(parents=True)
        packing.pack(folder / "tars", folder / name, folder / "pack" / name, smaller=smaller)
    return [FrameStore(folder / name) for name in ("one", "both")]


def decord(path: Path, indices: np.ndarray) -> torch.Tensor:
    reader = importlib.import_module("decord").VideoReader(str(path), num_threads=1)
    return torch.from_numpy(reader.get_batch(indices.tolist()).asnumpy()).permute(0, 3, 1, 2)


def torchcodec(path: Path, indices: np.ndarray) -> torch.Tensor:
    decoders = importlib.import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="approximate")
    return decoder.get_frames_at(indices.tolist()).data


def pyav(path: Path, indices: np.ndarray) -> torch.Tensor:
    wanted, frames = set(indices.tolist()), {}
    with importlib.import_module("av").open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                frames[number] = frame.to_ndarray(format="rgb24")
            if number >= indices.max():
                break
    return torch.from_numpy(np.stack([frames[index] for index in indices])).permute(0, 3, 1, 2)


class Loader:
    """The clips of one kind of model, by every reader."""

    def __init__(self, corpus: Corpus, store: FrameStore, sampler: SamplerConfig, augment: AugmentConfig) -> None:
        self.corpus, self.store, self.sampler, self.augment = corpus, store, sampler, augment
        self.ours = TrainDataset(corpus.manifest, store, sampler, augment, seed=0)

    def drawn(self, epoch: int, position: int) -> tuple[str, np.ndarray, np.random.Generator]:
        """Video, frames and generator of a clip, as TrainDataset draws them."""
        video = self.ours.videos[position]
        rng = generator(0, epoch, video)
        return video, sampling.training_clip(self.sampler, self.store.frames(video), rng), rng

    def ours_at(self, epoch: int, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """TrainDataset."""
        return self.ours[epoch, position]

    def limit(self, epoch: int, position: int) -> None:
        """The JPEGs alone."""
        video, indices, _ = self.drawn(epoch, position)
        side, store = transforms.needed_side(self.augment) or 0, self.store.at(transforms.asked_side(self.augment))
        for jpeg in store.read(video, indices.tolist()):
            simplejpeg.decode_jpeg(jpeg, "RGB", min_height=side, min_width=side)

    def by(self, read: Read, folder: Path) -> Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]:
        """A reader of videos, and our crop."""

        def sample(epoch: int, position: int) -> tuple[torch.Tensor, torch.Tensor]:
            video, indices, rng = self.drawn(epoch, position)
            return transforms.training_crop(read(folder / video, indices), self.augment, rng)[0], torch.zeros(1)

        return sample

    def pillow(self, epoch: int, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A folder of JPEGs as most data sets for images read it: whole pictures, resized, cropped and flipped."""
        video, indices, rng = self.drawn(epoch, position)
        folder, frames, plan = self.corpus.folder / "jpegs" / video, [], None
        for index in indices:
            image = Image.open(io.BytesIO((folder / f"{index}.jpg").read_bytes())).convert("RGB")
            plan = plan or planned(image.size, self.augment, rng)
            size, (left, top, right, bottom), flip = plan
            image = image.resize(size, Image.Resampling.BILINEAR) if size else image
            image = image.crop((left, top, right, bottom))
            image = image if size else image.resize((self.augment.crop,) * 2, Image.Resampling.BILINEAR)
            frames.append(np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image))
        return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2), torch.zeros(1)


Plan = tuple[tuple[int, int] | None, tuple[int, int, int, int], bool]


def planned(size: tuple[int, int], augment: AugmentConfig, rng: np.random.Generator) -> Plan:
    """The size that a frame is resized to before its crop (none: after it), the crop, and whether it is mirrored."""
    width, height = size
    if augment.kind == "scale_jitter":
        side = int(height * augment.ratios[rng.integers(len(augment.ratios))])
        box, resized = Box(*(int(rng.integers(room - side + 1)) for room in (height, width)), side, side), None
    else:
        short, crop = int(rng.integers(augment.sides[0], augment.sides[1] + 1)), augment.crop
        resized = (width * short // height, short)
        box = Box(*(int(rng.integers(room - crop + 1)) for room in reversed(resized)), crop, crop)
    return resized, (box.left, box.top, box.left + box.width, box.top + box.height), rng.random() < 0.5


def measure(loader: Loader, folders: dict[str, Path], rounds: int) -> list[str]:
    """Lines of a table: each reader's time for a clip, and how many times longer it takes than ours."""
    samples: dict[str, Callable[[int, int], object]] = {
        "limit": loader.limit,
        "ours": loader.ours_at,
        "Pillow folder": loader.pillow,
    }
    missing = [name for name in READERS if importlib.util.find_spec(name) is None]
    for end, folder in folders.items():
        samples |= {name + end: loader.by(READERS[name], folder) for name in READERS if name not in missing}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in samples}
    for epoch in range(rounds + 1):  # the first one warms up
        for name, sample in samples.items():
            cpu, wall = time.process_time(), time.perf_counter()
            clips = [sample(epoch, position) for position in range(len(loader.ours))]
            if name != "limit":
                TrainDataset.collate(clips)
            spent = time.process_time() - cpu, time.perf_counter() - wall
            times[name].append(tuple(1000 * seconds / len(clips) for seconds in spent))
    median = {name: np.median(every[1:], axis=0) for name, every in times.items()}
    rows = [
        [name, f"{cpu:.1f}", f"{wall:.1f}", f"{1000 / cpu:.0f}", f"{cpu / median['ours'][0]:.2f}"]
        for name, (cpu, wall) in median.items()
    ]
    lines = text_table(["", "CPU ms a clip", "clock ms a clip", "clips a CPU second", "times ours"], rows)
    return [*lines, *(f"{name} is not installed: pip install -e '.[bench]'" for name in missing)]


def disk(store: Path) -> str:
    """What the smaller size takes."""
    every, smaller = (sum(file.stat().st_size for file in store.glob(name)) for name in ("*.lmdb", "*.160.lmdb"))
    return f"disk: 320 pixels {(every - smaller) / 1e6:.1f} MB, 160 pixels {smaller / 1e6:.1f} MB"


READERS: dict[str, Read] = {"decord": decord, "torchcodec": torchcodec, "av": pyav}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one short clip, one round")
    videos, seconds, rounds = (1, 1, 1) if parser.parse_args().smoke else (4, 3, 9)
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does
    with tempfile.TemporaryDirectory() as folder:
        corpus = draw(Path(folder), videos, seconds)
        whole, tiny = {"": corpus.folder}, {"": corpus.folder, ", 160 pixels": corpus.folder / "tiny"}
        for title, store, (sampler, augment), folders in (
            ("8 segments -> 224, from 320 pixels", corpus.store, IMAGE, whole),
            ("32 frames -> 112, from 320 pixels", corpus.store, VIDEO, whole),
            ("32 frames -> 112, from 160 pixels", corpus.both, VIDEO, tiny),
        ):
            print(title, *measure(Loader(corpus, store, sampler, augment), folders, rounds), "", sep="\n")
        print(disk(corpus.both.root))


if __name__ == "__main__":
    main()
