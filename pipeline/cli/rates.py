"""How fast this machine extracts, packs, loads and computes: measured on a few clips, and kept in the scratch folder.

CPU time is what counts where the CPU works, so that a busy machine measures as an idle one; the time of a GPU is by the
clock.
"""

import json
import math
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from pipeline.cli import sense_rates
from pipeline.cli.compute_rates import cpu_seconds, speeds
from pipeline.clips import packing
from pipeline.clips.dataset import TrainDataset
from pipeline.clips.frame_source import read_frames
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.short_sides import PackConfig
from pipeline.core import files, params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine, scratch_folder
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.tsv import one_line
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from pipeline.runtime.allocator import keep_freed_memory
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.hearing_config import HearingConfig
from pipeline.training.kinds import kind

SAMPLES = 12
"""Number of the corpus' videos that are extracted."""
MADE_SECONDS = 6.0
"""Longest clip that is made where there is no corpus."""
ROUNDS = 8
"""Clips that each loader reads."""
FORMAT = 1
"""Version of what is measured; raise it when that changes, so that rates of before are measured anew."""


@dataclass(frozen=True)
class Corpus:
    """The videos that are to come."""

    train: int
    """Number of train videos."""
    held_out: int
    """Number of val and test videos."""
    classes: int
    """Number of classes."""
    seconds: float
    """Mean length of a video in seconds; 0 where the videos are at hand."""
    width: int
    """Pixels; 0 where the videos are at hand."""
    height: int
    """Pixels; 0 where the videos are at hand."""
    at_hand: tuple[Path | RemoteFolder, Manifest] | None
    """Root and manifest of the videos, where there are any."""

    @property
    def videos(self) -> int:
        """All of them."""
        return self.train + self.held_out


@dataclass(frozen=True)
class Rates:
    """What was measured."""

    seconds: float
    """Mean length of a video in seconds."""
    frame_bytes: float
    """Mean bytes of an extracted frame."""
    smaller_share: float
    """Bytes of the smaller sizes that are packed, as a share of those of the extracted frames."""
    extracted: float
    """Frames that a core extracts in a second."""
    packed: float
    """Bytes that a core packs in a second."""
    decoded: dict[str, float]
    """What a model takes -> frames, or flows, that a core decodes in a second at full size; infinite of sound."""
    loaded: dict[str, float]
    """Model -> training clips that a core loads in a second."""
    flops: dict[str, float]
    """Model -> operations that the device does in a second of a training step."""
    test_flops: dict[str, float]
    """Model -> operations that the device does in a second of a pass of testing."""
    measured_on: dict[str, str]
    """Model -> the model whose steps were timed for it: the cheapest of its kind."""
    source: str
    """What was extracted, in words."""
    device: str
    """What computed, in words."""
    flowed: float = math.inf
    """Frames whose flow a core makes in a second, or takes over from `flow.folder`, where a model takes flow."""
    flow_bytes: float = 0.0
    """Mean bytes of the flow of a frame."""
    heard: float = math.inf
    """Seconds of sound that a core extracts in a second, where a model hears."""

    def notes(self, tflops: float | None, frame_bytes: float | None) -> Iterator[str]:
        """Where the figures of a plan come from, line by line."""
        yield (
            f"Extraction, packing and loading: CPU time of this machine with {self.source}: "
            f"a core extracts {self.extracted:.0f} frames a second, packs {self.packed / 1e6:.0f} MB a second and "
            f"decodes {self.decoded['frames']:.0f} frames a second. Disks and networks are taken to keep up."
        )
        if self.flow_bytes:
            yield (
                f"Flow: {self.flowed:.0f} frames a second on a core, {self.flow_bytes / 1000:.1f} kB a frame; "
                f"a core decodes {self.decoded['flow']:.0f} flows a second."
            )
        if self.heard < math.inf:
            yield f"Sound: a core extracts {self.heard:.0f} s a second."
        if tflops:
            yield f"Computing: {tflops:g} TFLOP/s a device, as given, in training and in testing."
        else:
            timed = sorted(set(self.measured_on.values()))
            speeds = ", ".join(f"{name} {self.flops[name] / 1e12:.3f}" for name in timed)
            yield f"Computing: steps of two clips on {self.device}, in TFLOP/s: {speeds}; the others by their GMACs."
        if frame_bytes:
            yield "The size of a frame is as given."
        yield "training and testing: computing alone; loading and decoding run beside them, and the longer one counts."


def settings(overrides: list[str]) -> dict[str, Any]:
    """All settings: of params.yaml, or of conf/ with overrides.

    Raises:
        UserError: they cannot be read, or conf/ does not compose.
    """
    from pipeline.cli.params import composed

    found: dict[str, Any] = yaml.safe_load(composed(overrides)) if overrides else params.read_all()
    return found


def measured(every: Mapping[str, Any], corpus: Corpus, again: bool, compute: bool) -> Rates:
    """The rates of this machine for a corpus and its models; those that were kept, unless `again`.

    Args:
        every: all settings.
        corpus: what is to come.
        again: whether to measure anew.
        compute: whether to time the networks; else they have no rate.
    """
    machine = params.build(Machine, every["machine"], "machine")
    shape: list[Any] = [corpus.seconds, corpus.width, corpus.height]
    if corpus.at_hand:
        shape = [str(corpus.at_hand[0]), len(corpus.at_hand[1])]
    inputs = [every[name] for name in ("extract", "pack", "flow", "sound", "models", "machine")]
    key = files.fingerprint(FORMAT, inputs, shape, compute, torch.__version__)
    kept = scratch_folder(machine, "plan") / f"{key}.json"
    if not kept.is_file() or again:
        files.write_text(kept, json.dumps(asdict(_measure(every, corpus, machine, compute)), indent=1) + "\n")
    return Rates(**json.loads(kept.read_text()))


def _measure(every: Mapping[str, Any], corpus: Corpus, machine: Machine, compute: bool) -> Rates:
    keep_freed_memory()  # as the stages that pack and train do
    extract = replace(params.build(ExtractConfig, every["extract"], "extract"), shards=1, keep=True)
    with files.temporary_folder(scratch_folder(machine, "plan")) as folder:
        if corpus.at_hand:
            root, manifest = corpus.at_hand[0], _some(corpus.at_hand[1])
            source = f"{len(manifest)} videos of the corpus"
        else:
            root, manifest = folder, _made(folder, corpus, machine)
            source = f"made clips of {corpus.width}x{corpus.height} pixels (noise over a test picture, H.264)"
        apart = replace(machine, scratch=str(folder / "scratch"))
        start = cpu_seconds(children=True)
        extract_corpus(manifest, root, folder / "frames", folder / "broken.tsv", extract, apart)
        between = cpu_seconds(children=True)
        smaller = params.build(PackConfig, every["pack"], "pack").smaller
        packing.pack(folder / "frames", folder / "lmdb", folder / "scratch/pack", smaller=smaller)
        end = cpu_seconds(children=True)
        store = FrameStore(folder / "lmdb")
        there = manifest.without(set(manifest.videos) - set(store.videos))
        frames = sum(store.frames(video) for video in there.videos)
        held, small = (sum(file.stat().st_size for file in folder.glob(n)) for n in ("*/*.tar", "*/*.*.lmdb"))
        stores, senses = {"frames": store}, dict[str, Any]()
        if every["flow"]["by"]:
            stores["flow"], *figures = sense_rates.flow(every, there, folder, apart, made=not corpus.at_hand)
            senses |= dict(zip(("flowed", "flow_bytes"), figures, strict=True))
        if every["sound"]:
            senses["heard"] = sense_rates.sound(root, manifest, extract, apart, folder)
        decoded = {"sound": math.inf} | {holds: _decoded(of) for holds, of in stores.items()}
        loaded = {name: _loaded(name, section, stores, there, decoded) for name, section in every["models"].items()}
    return Rates(
        seconds=corpus.seconds or frames / len(there) / extract.fps,
        frame_bytes=held / frames,
        smaller_share=small / held,
        extracted=frames / (between - start),
        packed=held / (end - between),
        decoded=decoded,
        loaded=loaded,
        source=source,
        **senses,
        **(speeds(every, machine) if compute else dict(flops={}, test_flops={}, measured_on={}, device="nothing")),
    )


def _some(manifest: Manifest) -> Manifest:
    """Videos of every split, spread evenly over it."""
    chosen: list[str] = []
    for split in SPLITS:
        videos = manifest.split(split).videos
        chosen += [videos[n] for n in np.unique(np.linspace(0, len(videos) - 1, SAMPLES // len(SPLITS)).astype(int))]
    return manifest.without(set(manifest.videos) - set(chosen))


def _made(folder: Path, corpus: Corpus, machine: Machine) -> Manifest:
    """Clips of the asked size, made by FFmpeg in `folder`.

    Raises:
        UserError: this FFmpeg cannot make them.
    """
    seconds = min(corpus.seconds, MADE_SECONDS)
    for number, split in enumerate(SPLITS):
        picture = f"testsrc2=size={corpus.width}x{corpus.height}:rate=30:duration={seconds}"
        tone = f"sine=frequency=440:duration={seconds}"
        call = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:a", "aac", "-c:v", "libx264"]
        call += ["-vf", f"noise=alls=12:allf=t:all_seed={number},format=yuv420p", str(folder / f"{split}.mp4")]
        command = [machine.ffmpeg_path(), "-loglevel", "error", *call]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            said = one_line(done.stderr.strip() or f"status {done.returncode}")
            raise UserError(f"{machine.ffmpeg_path()} makes no clip of {corpus.width}x{corpus.height} pixels: {said}")
    records = [VideoRecord(split, split, f"{split}.mp4", "made", "1-made") for split in SPLITS]
    return Manifest.from_records(records, ("made",))


def _decoded(store: FrameStore) -> float:
    """Stored frames, or flows, that a core decodes in a second at full size."""
    videos = store.videos
    start, count = cpu_seconds(), 0
    for number in range(ROUNDS):
        video = videos[number % len(videos)]
        frames = np.linspace(0, store.frames(video) - 1, 32).astype(int)
        count += len(read_frames(store, video, frames, None))
    return count / (cpu_seconds() - start)


def _loaded(
    name: str, section: Mapping[str, Any], stores: Mapping[str, FrameStore], there: Manifest,
    decoded: Mapping[str, float],
) -> float:  # fmt: skip
    """Training clips of a model that a core loads in a second; a probe decodes and no more."""
    config = kind(section).read(section, f"models.{name}")
    if isinstance(config, HearingConfig):
        return math.inf  # to read some kilobytes is nothing beside the decoding of frames
    if isinstance(config, ProbeConfig):
        return decoded[config.clip.input] / config.clip.sampler.length
    store = stores[config.clip.input]
    there = there.without(set(there.videos) - set(store.videos))
    clips = TrainDataset(there, store, config.clip.sampler, replace(config.train.augment, flip=True), seed=0)
    clips[0, 0]  # opens the files
    start = cpu_seconds()
    for number in range(ROUNDS):
        clips[number, number % len(clips)]
    return ROUNDS / (cpu_seconds() - start)
