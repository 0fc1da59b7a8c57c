"""What a corpus will cost: disk by kind of file and hours by stage and model, from the rates of a machine.

All of it is arithmetic on a `Corpus`, `Rates` and `Hardware`; nothing is measured here.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from pipeline import cost as price
from pipeline.cli import forecast, model_table
from pipeline.cli.finding import size
from pipeline.cli.rates import Corpus, Rates
from pipeline.clips.sound_store import RATE
from pipeline.clips.views import View, ViewConfig
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.core.markdown import text_table
from pipeline.core.plural import number_of
from pipeline.core.remote_folder import corpus_root
from pipeline.layers.frozen import Frozen
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.kinds import kind

BACKWARD = 3
"""Operations of a training step as a multiple of those of its forward pass: two products more for each of it."""


@dataclass(frozen=True)
class Hardware:
    """The machines that will do the work."""

    cores: int
    """CPU cores that extract, pack and load."""
    devices: int
    """Devices that compute."""
    tflops: float | None
    """TFLOP/s that one sustains in training; None takes what was measured."""
    frame_bytes: float | None
    """Mean bytes of a stored frame; None takes what was measured."""

    @classmethod
    def of(cls, args: argparse.Namespace, settings: Mapping[str, Any]) -> Self:
        """What the command line says, and else this machine."""
        machine = params.build(Machine, settings["machine"], "machine")
        frame_bytes = None if args.frame_kb is None else 1000 * args.frame_kb
        return cls(args.cores or machine.processes, args.gpus or 1, args.tflops, frame_bytes)


@dataclass(frozen=True)
class ModelCost:
    """What a model will cost."""

    name: str
    clips: int
    """Training clips, over all epochs."""
    gmacs: float
    """Of the forward pass of a training clip."""
    view_gmacs: float
    """Of all test views of a video together."""
    views: int
    """Test views of a video."""
    takes: str
    """What the model takes of a video: frames, flow or sound."""
    decoded: int
    """Frames, or flows, of a video that are decoded for its views, at most."""
    checkpoint: int
    """Bytes of the weights."""
    features: int = 0
    """Bytes that are kept of a video where the network is frozen, else 0."""


def described(args: argparse.Namespace, settings: Mapping[str, Any]) -> Corpus:
    """The corpus that the command line describes; val and test by the shares of `dataset` unless they are given."""
    dataset = settings["dataset"]
    share = (dataset["val_share"] or 0) + (dataset["test_share"] or 0)
    held_out = args.held_out or round(share * args.videos)
    if held_out >= args.videos:
        raise UserError(f"--held-out {held_out} leaves no train video of {args.videos}.")
    return Corpus(args.videos - held_out, held_out, args.classes, args.seconds, args.width, args.height, None)


def of_manifest(data: Path, settings: Mapping[str, Any]) -> Corpus:
    """The corpus that stage `index` found.

    Raises:
        UserError: there is none yet.
    """
    if not (data / "manifest.tsv").is_file():
        raise UserError(f"There is no {data / 'manifest.tsv'} yet: `dvc repro index`, or describe it with --videos.")
    manifest = Manifest.read(data / "manifest.tsv", data / "classes.txt")
    train = len(manifest.split("train"))
    root = corpus_root(settings["dataset"]["root"])
    return Corpus(train, len(manifest) - train, len(manifest.classes), 0, 0, 0, (root, manifest))


def costs(settings: Mapping[str, Any], corpus: Corpus) -> list[ModelCost]:
    """What each model of the settings will cost, by its own sizes."""
    found = []
    for name, section in settings["models"].items():
        config = kind(section).read(section, f"models.{name}")
        grid = config.clip.grid(params.build(ViewConfig, section["test"], f"models.{name}.test"))
        parameters, gmacs = model_table.cost(config, corpus.classes)
        crops = [view.scale.crop if isinstance(view, View) else None for view in grid.views]
        by_crop = {crop: model_table.cost(config, corpus.classes, crop)[1] for crop in set(crops)}
        clips = len({(view.clips, view.clip) for view in grid.views})
        frames = 0 if config.clip.hears else config.clip.sampler.length
        found.append(
            ModelCost(
                name=name,
                clips=corpus.train * forecast.epochs(section["train"], corpus.train),
                gmacs=gmacs,
                view_gmacs=sum(by_crop[crop] for crop in crops),
                views=len(crops),
                takes=config.clip.input,
                decoded=clips * frames * len(grid.sides),
                checkpoint=4 * parameters,
                features=_features(config, corpus.classes),
            )
        )
    return found


def _features(config: ModelConfig | ProbeConfig, classes: int) -> int:
    """Bytes of a video's features, in float16."""
    if not isinstance(config, ProbeConfig):
        return 0
    network = price.without_data(lambda: config.build(classes)[0])
    return 2 * cast(Frozen, network).dimension


def lines(settings: Mapping[str, Any], corpus: Corpus, rates: Rates, hardware: Hardware) -> Iterator[str]:
    """The plan for a person: the corpus, disk, hours, and where the rates come from."""
    models = costs(settings, corpus)
    fps, keep = settings["extract"]["fps"], settings["extract"]["keep"]
    frames = corpus.videos * rates.seconds * fps
    frame_bytes = hardware.frame_bytes or rates.frame_bytes
    yield (
        f"{corpus.train:,} train and {corpus.held_out:,} other videos of {rates.seconds:.1f} s: {frames:,.0f} frames, "
        f"{frame_bytes / 1000:.1f} kB each"
    )
    yield ""
    sound = 2 * RATE * rates.seconds * corpus.videos if settings.get("sound") else 0.0
    flows = frames if settings.get("flow", {}).get("by") else 0.0
    disk = _disk(settings, models, corpus, frames * frame_bytes, rates.smaller_share, sound, flows * rates.flow_bytes)
    yield from text_table(["disk", "size"], list(disk))
    yield ""
    times = "three" if keep else "four"  # without tars, the LMDB files are of two outs
    yield (
        f"Frames are linked from scratch and into DVC's cache; a file system that cannot link holds each {times} times."
    )
    yield ""
    cores = hardware.cores
    yield from text_table(
        [f"stage, on {cores} cores", "time"],
        [
            ["extract", time(frames / rates.extracted / cores)],
            ["pack", time(frames * frame_bytes / rates.packed / cores)],
            *([["flow", time(flows / rates.flowed / cores)]] if flows else []),
            *([["sound", time(rates.seconds * corpus.videos / rates.heard / cores)]] if sound else []),
            ["reading or writing all frames once, at 1 GB/s", time(frames * frame_bytes / 1e9)],
        ],
    )
    yield ""
    yield from text_table(HEAD, [row(model, corpus, rates, hardware) for model in models])
    yield ""
    yield from rates.notes(hardware.tflops, hardware.frame_bytes)


HEAD = ["model", "clips", "GMACs", "training", "loading", "views", "testing", "decoding"]
"""Columns of the table of models: training and testing is computing alone, loading and decoding runs beside them."""


def row(model: ModelCost, corpus: Corpus, rates: Rates, hardware: Hardware) -> list[str]:
    """A model's line."""
    flops = 1e12 * hardware.tflops if hardware.tflops else rates.flops[model.name]
    test_flops = 1e12 * hardware.tflops if hardware.tflops else rates.test_flops[model.name]
    of_training = 2e9 * model.gmacs * BACKWARD * model.clips / flops / hardware.devices
    of_testing = 2e9 * model.view_gmacs * corpus.held_out / test_flops / hardware.devices
    loading = model.clips / rates.loaded[model.name] / hardware.cores
    decoding = model.decoded * corpus.held_out / rates.decoded[model.takes] / hardware.cores
    return [
        model.name, f"{model.clips:,}", f"{model.gmacs:.1f}", time(of_training), time(loading), f"{model.views}",
        time(of_testing), time(decoding),
    ]  # fmt: skip


def _disk(
    settings: Mapping[str, Any], models: list[ModelCost], corpus: Corpus, stored: float, smaller_share: float,
    sound: float, flow: float,
) -> Iterator[list[str]]:  # fmt: skip
    """Rows of the table of disk; `sound` is the bytes of all sound at most, 0 where no model hears, `flow` likewise."""
    keep, smaller = settings["extract"]["keep"], settings["pack"]["short_sides"][1:]
    scores = sum(model.views * 2 + 3 * 4 for model in models) * corpus.held_out * corpus.classes
    weights = sum(model.checkpoint for model in models)
    features = sum(model.features for model in models) * corpus.videos
    if keep:
        yield ["frames: tar shards", size(int(stored))]
    yield ["frames: LMDB", size(int(stored))]
    if smaller:
        yield [f"frames: LMDB, short side {' and '.join(map(str, smaller))}", size(int(smaller_share * stored))]
    if sound:
        yield ["sound, of the videos that have one", size(int(sound))]
    if flow:
        yield ["flow: LMDB", size(int(flow))]
    if features:
        yield ["features of frozen networks", size(features)]
    yield [f"weights of {number_of(len(models), 'model')}", size(weights)]
    yield ["predictions: logits of each view, tables", size(scores)]
    frames = ((2 if keep else 1) + smaller_share) * stored
    yield ["all", size(int(frames + sound + flow) + features + weights + scores)]


def time(seconds: float) -> str:
    """A length of time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"
