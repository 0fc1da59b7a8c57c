"""The recipe of a model: what it is and how it is trained, as params.yaml says it under `models.<name>`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from torch import nn

from pipeline.class_stats import ClassStatistics
from pipeline.clips import flips
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.inputs import Store
from pipeline.clips.transforms import AugmentConfig, asked_side
from pipeline.core import params, registry
from pipeline.core.errors import UserError
from pipeline.core.task import Task
from pipeline.layers import frame_input
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.losses import auto
from pipeline.pretrained import imagenet
from pipeline.training.mixup import MixConfig
from pipeline.training.optim import OptimConfig, ScheduleConfig

OTHERS = ("test", "starts", "watch", "reads")
"""Entries of `models.<name>` that make no weights: how it is tested, and what DVC watches."""
IMPOSSIBLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What networks of this project, of timm and of torch raise for options that cannot be."""


@dataclass(frozen=True)
class LossConfig:
    """Section `models.<name>.train.loss` of params.yaml."""

    name: str
    """A file of pipeline/losses; auto: cross_entropy where each video has one label, else bce."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a loss -> the options of its `build`, so that another name takes its own."""

    def __post_init__(self) -> None:
        params.require((auto.NAME not in self.options, "auto has no options; those of the loss that it means are used"))

    def of(self, task: Task) -> "LossConfig":
        """The loss that trains a task: in place of auto its name, and of the options those of losses for the task.

        Raises:
            UserError: the loss cannot train the task, or options are those of no loss; the message begins with the
                setting's place in `models.<name>`.
        """
        name = auto.meant(self.name, task)
        losses = {other: registry.find("losses", other, where="train.loss.options") for other in self.options}
        return LossConfig(name, {other: self.options[other] for other in losses if task in losses[other].TASKS})

    def checked_options(self) -> dict[str, dict[str, Any]]:
        """The options of all losses, also of those that are not chosen.

        Raises:
            UserError: there is no such loss, or it has no such option.
        """
        return {
            name: params.options(
                registry.find("losses", name, where="train.loss.options").build, given, f"train.loss.options.{name}"
            )
            for name, given in self.options.items()
        }

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
        where, options = f"train.loss.options.{self.name}", self.checked_options().get(self.name, {})
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
    """Passes over the train videos, at least 1; more where `least_steps` asks for more."""
    batch: int
    """Videos a step, over all devices."""
    seed: int
    """Seed of the first weights, the order of videos, augmentation and dropout; 0 or more."""
    loss: LossConfig
    optim: OptimConfig
    schedule: ScheduleConfig
    augment: AugmentConfig
    pretrained: str | None = None
    """What the weights start from: `imagenet` for those of options.backbone, fetched once (see
    pipeline/pretrained/imagenet.py); the path of a checkpoint; null for random ones."""
    pretrained_set: str | None = None
    """Which set of weights of that file, where it holds several (state_dict_ema, ...); null: the only one."""
    mix: MixConfig = field(default_factory=MixConfig)
    """Blends of the clips of a batch; off by default."""
    ema: float | None = None
    """Decay a step of the moving average of the weights, which is then what is validated and kept; null: none."""
    least_steps: int = 0
    """Updates of the weights that a training has at least: on a small corpus `epochs` is raised to reach it."""
    train_sample: int = 100
    """Most train videos, the same in every epoch, that are evaluated as those of val are, so that over-fitting is seen;
    never more than val has. 0: none. It changes no weight."""

    def __post_init__(self) -> None:
        params.require(
            (self.epochs >= 1 and self.batch >= 1, "epochs and batch must be at least 1"),
            (self.least_steps >= 0, "least_steps must be 0 or more"),
            (self.train_sample >= 0, "train_sample must be 0 or more"),
            (0 <= self.seed < 2**31, "seed must lie in 0 .. 2147483647"),
            (self.ema is None or 0 < self.ema < 1, "ema is a decay between 0 and 1, e.g. 0.999, or null"),
        )

    def last_epoch(self, share: float, videos: int) -> int:
        """The epoch, counted from 1, after which a share above 0 of a training on so many videos is done.

        Between corpora of different sizes it is the share that compares: `least_steps` asks for fewer epochs of more
        videos.
        """
        return max(1, round(share * epochs_of(self.epochs, self.least_steps, self.batch, videos)))


@dataclass(frozen=True)
class NetworkConfig:
    """What makes a network besides the corpus and its training."""

    arch: str
    """Name of a file of pipeline/models."""
    options: dict[str, Any]
    """Arguments of that file's `build`."""
    clip: ClipConfig
    train: Any
    """How it is trained; each kind of network says more."""

    @property
    def crop(self) -> int:
        """Side of the square that the network is trained on, in pixels; each kind of network says which."""
        raise NotImplementedError

    def shape(self, crop: int | None = None) -> tuple[int, ...]:
        """Shape of a clip as the network gets it, (P, T, crop, crop): a training clip unless a `crop` is given."""
        side = crop or self.crop
        return frame_input.PLANES[self.clip.input], self.clip.sampler.length, side, side

    def plain(self) -> dict[str, Any]:
        """Itself as values that JSON can hold, without what is only there for other kinds of networks."""
        values: dict[str, Any] = params.plain(self)
        if self.clip.input == "frames":
            del values["clip"]["input"]  # as in the recipes of before there was flow
        if not self.clip.hears and self.clip.sampler.consecutive == 1:
            del values["clip"]["sampler"]["consecutive"]  # as in the recipes of before there were differences
        return values

    @classmethod
    def read(cls, section: Mapping[str, Any], where: str) -> Self:
        """From the whole section `models.<name>`; `where` names it in messages."""
        return params.build(cls, {key: value for key, value in section.items() if key not in OTHERS}, where)

    def starting_in(self, folder: Path) -> Self:
        """The same with the backbone's file in `folder` in place of the word `imagenet`, where that is its start."""
        if self.train.pretrained != imagenet.WORD:
            return self
        file = imagenet.file_of(imagenet.backbone(self.options), folder)
        return replace(self, train=replace(self.train, pretrained=str(file)))

    def build(self, classes: int) -> tuple[nn.Module, InputSpec | MelSpec]:
        """A fresh model, and what its input must look like.

        Raises:
            UserError: a line for each wrong setting; it begins with its place in `models.<name>`.
        """
        module = registry.find("models", self.arch, where="arch")
        options = params.options(module.build, self.options, "options")
        try:
            network = module.build(classes, **options)
        except IMPOSSIBLE as error:
            raise UserError(f"options: {error}") from error
        if self.clip.hears:
            return network, getattr(network, "hears", module.INPUT)
        looks_at, given = frame_input.of(network), self.clip.sampler.consecutive
        if self.clip.input != looks_at.takes:
            raise UserError(
                f"clip.input: must be {looks_at.takes} with this network (options.input says what it looks at), not "
                f"{self.clip.input}."
            )
        if given != looks_at.consecutive:
            raise UserError(
                f"clip.sampler.consecutive: must be {looks_at.consecutive} with this network (options.input says what "
                f"it looks at), not {given}."
            )
        return network, looks_at.pixels or module.INPUT


@dataclass(frozen=True)
class ModelConfig(NetworkConfig):
    """What makes a model besides the corpus: sections `arch`, `options`, `clip` and `train` of `models.<name>`."""

    train: TrainConfig

    def __post_init__(self) -> None:
        changes = self.train.augment and self.train.augment.rand_augment
        params.require(
            (
                self.clip.input != "flow" or changes is None,
                "train.augment.rand_augment: must be null, as it changes colours and shapes, and flow is neither",
            )
        )

    @property
    def crop(self) -> int:
        """Side of the square that the network is trained on, in pixels."""
        return self.train.augment.crop

    @property
    def clip_in_words(self) -> str:
        """What a clip is, and by which settings it would take less memory."""
        crop, frames = self.train.augment.crop, self.clip.sampler.length
        what = "flows" if self.clip.input == "flow" else "frames"
        return f"{frames} {what} of {crop} x {crop} pixels (train.augment.crop, clip.sampler.frames)"

    def content(self, store: Store) -> dict[str, str]:
        """What the recipe says of the frames, or of what else the network is trained on."""
        return {self.clip.input: store.content_key({self.clip.side, asked_side(self.train.augment)})}

    def of(self, task: Task) -> Self:
        """The recipe for a task, see `LossConfig.of`."""
        return replace(self, train=replace(self.train, loss=self.train.loss.of(task)))

    def resolved(self, classes: Sequence[str], videos: int) -> Self:
        """The same for a corpus of these classes and so many train videos.

        `train.augment.flip` is what holds for the classes; the epochs reach `train.least_steps`, which is then 0.

        Raises:
            UserError: a pair of flip names no class.
        """
        augment = replace(self.train.augment, flip=flips.resolve(self.train.augment.flip, classes))
        epochs = epochs_of(self.train.epochs, self.train.least_steps, self.train.batch, videos)
        return replace(self, train=replace(self.train, augment=augment, epochs=epochs, least_steps=0))


def epochs_of(epochs: int, least_steps: int, batch: int, videos: int) -> int:
    """Number of epochs of a training on so many videos: `epochs`, or as many as make `least_steps` steps."""
    return max(epochs, math.ceil(least_steps / max(1, videos // batch)))
