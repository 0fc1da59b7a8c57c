"""The recipe of a model: what it is and how it is trained, as params.yaml says it under `models.<name>`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from pipeline.class_stats import ClassStatistics
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.layers.normalize import InputSpec
from pipeline.training.mixup import MixConfig
from pipeline.training.optim import OptimConfig, ScheduleConfig

OTHERS = ("test", "watch")
"""Entries of `models.<name>` that make no weights: how it is tested, and what DVC watches."""


@dataclass(frozen=True)
class LossConfig:
    """Section `models.<name>.train.loss` of params.yaml."""

    name: str
    """A file of pipeline/losses."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a loss -> the options of its `build`, so that another name takes its own."""

    @property
    def over_labels(self) -> bool:
        """Whether the loss is a mean over the labels of a batch, and not over its videos."""
        return registry.find("losses", self.name).MEAN_OVER == "labels"

    def build(self, statistics: ClassStatistics, mix: MixConfig) -> nn.Module:
        """A function of logits (N, C) and targets (N, C), which `mix` may have blended."""
        module = registry.find("losses", self.name)
        options = self.options.get(self.name, {})
        params.check_keywords(module.build, options, f"options of loss {self.name!r}")
        if mix.on and not module.SOFT_TARGETS:
            raise UserError(
                f"Loss {self.name!r} ranks classes, and blended labels do not say which stands above which. Switch off "
                "train.mix, or take the loss bce or asymmetric."
            )
        try:
            return module.build(statistics, **options)
        except ValueError as error:
            raise UserError(f"options of loss {self.name!r}: {error}") from error


@dataclass(frozen=True)
class TrainConfig:
    """Section `models.<name>.train` of params.yaml."""

    epochs: int
    batch: int
    """Videos a step, over all devices."""
    seed: int
    loss: LossConfig
    optim: OptimConfig
    schedule: ScheduleConfig
    augment: AugmentConfig
    pretrained: str | None = None
    """A checkpoint that the weights start from, see pipeline/pretrained/load.py; null for random ones."""
    mix: MixConfig = field(default_factory=MixConfig)
    """Blends of the clips of a batch; off by default."""
    ema: float | None = None
    """Decay a step of the moving average of the weights, which is then what is validated and kept; null: none."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("epochs and batch must be at least 1")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError("ema is a decay between 0 and 1, e.g. 0.999, or null")


@dataclass(frozen=True)
class ModelConfig:
    """What makes a model besides the corpus: sections `arch`, `options`, `clip` and `train` of `models.<name>`."""

    arch: str
    options: dict[str, Any]
    clip: ClipConfig
    train: TrainConfig

    @classmethod
    def read(cls, section: Mapping[str, Any], where: str) -> "ModelConfig":
        """From the whole section `models.<name>`; `where` names it in messages."""
        return params.build(cls, {key: value for key, value in section.items() if key not in OTHERS}, where)

    def build(self, classes: int) -> tuple[nn.Module, InputSpec]:
        """A fresh model, and what its input must look like."""
        module = registry.find("models", self.arch)
        params.check_keywords(module.build, self.options, f"options of model {self.arch!r}")
        try:
            return module.build(classes, **self.options), module.INPUT
        except ValueError as error:
            raise UserError(f"options of model {self.arch!r}: {error}") from error
