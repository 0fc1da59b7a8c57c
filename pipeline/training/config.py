"""The recipe of a model: what it is and how it is trained, as params.yaml says it under `models.<name>`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from pipeline.class_stats import ClassStatistics
from pipeline.clips import flips
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.layers.normalize import InputSpec
from pipeline.training.mixup import MixConfig
from pipeline.training.optim import OptimConfig, ScheduleConfig

OTHERS = ("test", "watch")
"""Entries of `models.<name>` that make no weights: how it is tested, and what DVC watches."""
IMPOSSIBLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What networks of this project, of timm and of torch raise for options that cannot be."""


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
        mean_over: str = registry.find("losses", self.name).MEAN_OVER
        return mean_over == "labels"

    def build(self, statistics: ClassStatistics, mix: MixConfig) -> nn.Module:
        """A function of logits (N, C) and targets (N, C), which `mix` may have blended.

        Raises:
            UserError: a line for each wrong setting; it begins with its place in `models.<name>`.
        """
        module = registry.find("losses", self.name, where="train.loss.name")
        where = f"train.loss.options.{self.name}"
        options = params.options(module.build, self.options.get(self.name, {}), where)
        if mix.on and not module.SOFT_TARGETS:
            raise UserError(
                f"train.mix: the loss {self.name!r} ranks classes, and blended labels do not say which stands above "
                "which. Switch off train.mix (mixup and cutmix: 0), or take the loss bce or asymmetric."
            )
        try:
            loss: nn.Module = module.build(statistics, **options)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        return loss


@dataclass(frozen=True)
class TrainConfig:
    """Section `models.<name>.train` of params.yaml."""

    epochs: int
    """Passes over the train videos, at least 1."""
    batch: int
    """Videos a step, over all devices."""
    seed: int
    """Seed of the first weights, the order of videos, augmentation and dropout; 0 or more."""
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
        params.require(
            (self.epochs >= 1 and self.batch >= 1, "epochs and batch must be at least 1"),
            (0 <= self.seed < 2**31, "seed must lie in 0 .. 2147483647"),
            (self.ema is None or 0 < self.ema < 1, "ema is a decay between 0 and 1, e.g. 0.999, or null"),
        )


@dataclass(frozen=True)
class ModelConfig:
    """What makes a model besides the corpus: sections `arch`, `options`, `clip` and `train` of `models.<name>`."""

    arch: str
    """Name of a file of pipeline/models."""
    options: dict[str, Any]
    """Arguments of that file's `build`."""
    clip: ClipConfig
    train: TrainConfig

    @classmethod
    def read(cls, section: Mapping[str, Any], where: str) -> "ModelConfig":
        """From the whole section `models.<name>`; `where` names it in messages."""
        return params.build(cls, {key: value for key, value in section.items() if key not in OTHERS}, where)

    def resolved(self, classes: Sequence[str]) -> "ModelConfig":
        """The same, with `train.augment.flip` as it holds for these classes.

        Raises:
            UserError: a pair of it names no class.
        """
        augment = replace(self.train.augment, flip=flips.resolve(self.train.augment.flip, classes))
        return replace(self, train=replace(self.train, augment=augment))

    def build(self, classes: int) -> tuple[nn.Module, InputSpec]:
        """A fresh model, and what its input must look like.

        Raises:
            UserError: a line for each wrong setting; it begins with its place in `models.<name>`.
        """
        module = registry.find("models", self.arch, where="arch")
        options = params.options(module.build, self.options, "options")
        try:
            return module.build(classes, **options), module.INPUT
        except IMPOSSIBLE as error:
            raise UserError(f"options: {error}") from error
