"""Everything that is wrong with a section `models.<name>` of params.yaml, for pipeline/check.py.

The network (without memory for its weights), its loss and its optimiser are built as stage `train` will build them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.class_stats import ClassStatistics
from pipeline.clips.views import NO_SIDES, ViewConfig
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.core.task import AUTO, TASKS
from pipeline.layers.backbone import build_backbone
from pipeline.layers.log_mel import MelSpec
from pipeline.losses import auto
from pipeline.pretrained import imagenet, weight_file
from pipeline.pretrained.load import Candidate, plan
from pipeline.training import kinds, optim
from pipeline.training.config import IMPOSSIBLE, OTHERS, ModelConfig
from pipeline.training.frozen_config import ProbeConfig

STATISTICS = ClassStatistics(("often", "rare"), np.array([2, 1]), videos=3)
"""Statistics of two classes, to build a loss of any task with before the corpus is counted."""


def check_model(section: Any, where: str, task: str, found: list[str]) -> None:
    """Add to `found` what is wrong with a section, a line each that begins with the setting's dotted path.

    Args:
        section: the section, as plain values.
        where: its dotted path.
        task: `dataset.task`; auto where the labels have yet to say.
        found: lines, to which others are added.
    """
    if not isinstance(section, Mapping):
        found.append(f"{where}: must be a mapping of settings, not {section!r}.")
        return
    found += [f"{where}.{name}: this setting is missing." for name in OTHERS if name not in section]
    test = params.attempt(ViewConfig, section["test"], f"{where}.test", found) if "test" in section else None
    recipe = {key: value for key, value in section.items() if key not in OTHERS}
    config: ModelConfig | ProbeConfig | None = params.attempt(kinds.kind(section), recipe, where, found)
    if config is None:
        return
    if wrong := _wrong_sense(config):
        found.append(f"{where}.arch: {wrong}")
        return
    if test and bool(test.sides) == config.clip.hears:
        found.append(f"{where}.test: " + ("sides are of frames, and it hears: []" if test.sides else NO_SIDES))
        return
    if isinstance(config, ModelConfig):
        with reported(found, f"{where}."):
            _build_loss(config, task)
    before = len(found)
    with reported(found, f"{where}."):
        _run_network(config, test)
    if config.train.pretrained is not None and len(found) == before:  # else it is no network to be started
        with reported(found, f"{where}.train.pretrained: "):
            if config.clip.hears and config.train.pretrained == imagenet.WORD:
                raise UserError("ImageNet's weights see three colours, and no sound. Set null, for a random start.")
            _check_start(config, config.train.pretrained)


def _wrong_sense(config: ModelConfig | ProbeConfig) -> str:
    """What is wrong with a network that sees where the clip is sound, or that hears where it is frames."""
    if config.arch not in registry.names("models"):  # which is said when it is built
        return ""
    hearing = isinstance(registry.find("models", config.arch).INPUT, MelSpec)
    does, wrong = ("hears", "is not sound") if hearing else ("sees frames", "is sound")
    return f"{config.arch!r} {does}, and clip.input {wrong}." if hearing != config.clip.hears else ""


def _check_start(config: ModelConfig | ProbeConfig, pretrained: str) -> None:
    """Refuse a start that is not there or does not fit, which training would only say after hours of extraction.

    Nothing is fetched. Of a start that fits only the classes, which no one has listed yet, are not compared.
    """
    if pretrained != imagenet.WORD:
        weight_file.refuse_unknown(pretrained)
        if not Path(pretrained).exists():
            raise UserError(
                f"training fetches nothing. `pipeline checkpoint {pretrained} --save FILE.safetensors` does, once; "
                "then name that file. `imagenet` is fetched by a stage."
            )
        with torch.device("meta"):
            network, _ = config.build(len(STATISTICS.classes))
        plan(network, Candidate.read(pretrained, chosen=getattr(config.train, "pretrained_set", None)))
        return
    options = config.options
    backbone, changes = imagenet.backbone(options), options.get("backbone_options") or {}
    with torch.device("meta"):
        public, own = (build_backbone(backbone, **kwargs).state_dict() for kwargs in ({}, changes))
    if {name: x.shape for name, x in public.items()} != {name: x.shape for name, x in own.items()}:
        raise UserError(
            f"options.backbone_options make {backbone!r} another network than the one that has ImageNet weights. "
            "Remove them (backbone_options: null), or set train.pretrained: null for a random start."
        )


def _build_loss(config: ModelConfig, task: str) -> None:
    """Build the loss for each task that the corpus may have; whether an explicit one fits, train knows with `auto`."""
    loss = config.train.loss
    loss.checked_options()
    if task == AUTO and loss.name != auto.NAME:
        tasks = registry.find("losses", loss.name, where="train.loss.name").TASKS
    else:
        tasks = TASKS if task == AUTO else (task,)
    for possible in tasks:
        loss.of(possible).build(STATISTICS, config.train.mix)


def _run_network(config: ModelConfig | ProbeConfig, test: ViewConfig | None) -> None:
    """Build the network and its optimiser, and pass the smallest and the largest clip; no tensor has data."""
    shapes = {config.shape()} if config.clip.hears else _shapes(config, test)
    with torch.device("meta"), torch.no_grad():
        network, _ = config.build(len(STATISTICS.classes))
        if isinstance(config, ModelConfig):
            optim.optimizer(network, config.train.optim)
        for shape in sorted({min(shapes), max(shapes)}):
            try:
                network.eval()(torch.empty(1, *shape))
            except IMPOSSIBLE as error:
                if "meta" in str(error):  # what the network does needs values, which say nothing of the settings
                    return
                raise UserError(f"{_told(shape)} not pass through the network. {error}") from error


def _shapes(config: ModelConfig | ProbeConfig, test: ViewConfig | None) -> set[tuple[int, ...]]:
    """The shapes of all clips that the network gets."""
    tested = [] if test is None else [test.crop or side for side in test.sides]
    return {config.shape(crop) for crop in (config.crop, config.clip.crop, *tested)}


def _told(shape: tuple[int, ...]) -> str:
    """A shape of `NetworkConfig.shape` in words, behind the setting that it comes of."""
    if len(shape) == 3:
        return f"clip.seconds: a spectrogram of {shape[1]} bands and {shape[2]} windows does"
    frames, side = shape[1:3]
    return f"clip.sampler.frames: {frames} frames of {side} x {side} pixels, a crop of train.augment, clip or test, do"


@contextmanager
def reported(found: list[str], where: str) -> Iterator[None]:
    """Add what is wrong, with `where` before it, instead of raising it; indented lines go on with the one before."""
    try:
        yield
    except UserError as error:
        found += [f"{where}{problem}" for problem in re.split(r"\n(?! )", str(error))]
