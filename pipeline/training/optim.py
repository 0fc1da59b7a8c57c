"""The optimiser, its parameter groups by role, and the learning rate as a pure function of the step."""

import inspect
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from timm.optim import create_optimizer_v2, get_optimizer_class, get_optimizer_info, list_optimizers
from torch import nn

from pipeline.core import params
from pipeline.core.errors import UserError

ROLES = ("weight", "bias", "norm", "classifier_weight", "classifier_bias", "first_weight", "first_bias")
"""What a parameter is for: see `role`."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)  # noqa: SLF001 - the base of all batch norms


@dataclass(frozen=True)
class RoleConfig:
    """What the parameters of one role have of their own: factors to the learning rate and the weight decay."""

    lr: float = 1.0
    """Factor to the learning rate, 0 or more."""
    weight_decay: float = 1.0
    """Factor to the weight decay, 0 or more."""

    def __post_init__(self) -> None:
        possible = 0 <= self.lr < math.inf and 0 <= self.weight_decay < math.inf
        params.require((possible, "lr and weight_decay are factors, finite and not negative"))


@dataclass(frozen=True)
class OptimConfig:
    """Section `models.<name>.train.optim` of params.yaml."""

    lr: float
    """Base learning rate, for the whole batch."""
    weight_decay: float
    """Weight decay, 0 or more; roles may have factors of it."""
    clip_norm: float | None
    """Largest norm of the gradient of all parameters; null leaves it as it is."""
    name: str = "sgd"
    """Any of timm's optimisers."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of an optimiser -> its own arguments, so that another name takes its own."""
    roles: dict[str, RoleConfig] = field(default_factory=dict)
    """Role -> factors; a role that is not named has 1 and 1, and the first convolution (first_weight, first_bias) those
    of weight and bias. The repositories of TSM and TIN have biases {lr: 2, weight_decay: 0}, norms {weight_decay: 0},
    the classifier {lr: 5} and its bias {lr: 10, weight_decay: 0}, and of flow the first convolution as the classifier;
    the report's public code has one group."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.roles) - set(ROLES))
        params.require(
            (0 < self.lr < math.inf, f"lr must be greater than 0, not {self.lr}"),
            (0 <= self.weight_decay < math.inf, f"weight_decay must not be negative, but is {self.weight_decay}"),
            (
                self.clip_norm is None or self.clip_norm > 0,
                f"clip_norm must be greater than 0, or null, not {self.clip_norm}",
            ),
            (not unknown, f"roles has no {', '.join(map(repr, unknown))}; there are {', '.join(ROLES)}"),
        )


@dataclass(frozen=True)
class ScheduleConfig:
    """Section `models.<name>.train.schedule` of params.yaml; times are in epochs and may be fractions."""

    kind: Literal["step", "cosine"]
    """Whether the rate falls by a factor at milestones, or along half a cosine to 0."""
    warmup_epochs: float = 0.0
    """Epochs of the linear rise at the beginning."""
    warmup_start: float = 0.0
    """Learning rate of the first step, as a share of the base."""
    milestones: tuple[float, ...] = ()
    """step: epochs from whose first step on the rate is multiplied by `factor` once more."""
    factor: float = 0.1
    """Factor to the rate at each milestone, greater than 0."""

    def __post_init__(self) -> None:
        params.require(
            (self.kind == "step" or not self.milestones, "milestones belong to the schedule 'step', not to 'cosine'"),
            (0 <= self.warmup_epochs < math.inf, "warmup_epochs must not be negative"),
            (0 <= self.warmup_start <= 1, "warmup_start lies in 0..1"),
            (all(milestone > 0 for milestone in self.milestones), "milestones are epochs, greater than 0"),
            (0 < self.factor < math.inf, "factor must be greater than 0"),
        )


def learning_rate(base: float, schedule: ScheduleConfig, step: int, steps_per_epoch: int, epochs: float) -> float:
    """The learning rate of step `step`, counted from 0.

    The cosine is the half-cosine of SGDR (arXiv:1608.03983) without restarts, base/2 * (cos(pi k/K) + 1). A linear
    warm-up goes from `warmup_start` to the value that the schedule has at its end and then leaves the schedule
    unshifted, as in PySlowFast; the rate never jumps.
    """
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        first = base * schedule.warmup_start
        last = _after_warmup(base, schedule, warmup, steps_per_epoch, epochs)
        return first + (last - first) * step / warmup
    return _after_warmup(base, schedule, step, steps_per_epoch, epochs)


def _after_warmup(base: float, schedule: ScheduleConfig, step: float, steps_per_epoch: int, epochs: float) -> float:
    if schedule.kind == "cosine":
        return base * 0.5 * (math.cos(math.pi * step / (epochs * steps_per_epoch)) + 1)
    passed = sum(step >= milestone * steps_per_epoch for milestone in schedule.milestones)
    return base * schedule.factor**passed


def optimizer(model: nn.Module, config: OptimConfig, fused: bool = False) -> torch.optim.Optimizer:
    """The optimiser over the parameters that train, one group for each factor pair in use.

    A group's `scale` is its factor to the learning rate; whoever sets the rate multiplies by it. `fused` takes one
    kernel for all of it (on GPUs), where the optimiser has one.

    Raises:
        UserError: timm has no such optimiser, or none of a name under `options`, or it has no such option.
    """
    if config.name not in list_optimizers():
        near = params.hint(config.name, list_optimizers(), most=0)
        raise UserError(
            f"train.optim.name: timm has no optimiser {config.name!r}.{near} timm.optim.list_optimizers() lists all."
        )
    for name in config.options:
        if name not in list_optimizers():
            near = params.hint(name, list_optimizers(), most=0)
            raise UserError(f"train.optim.options: timm has no optimiser {name!r}.{near}")
    if get_optimizer_info(config.name).second_order:
        raise UserError(f"train.optim.name: {config.name} needs second derivatives, which this training does not make.")
    try:
        known = inspect.signature(get_optimizer_class(config.name, bind_defaults=False)).parameters
    except (AssertionError, ImportError) as error:
        raise UserError(f"train.optim.name: {config.name} is not to be had on this machine ({error}).") from error
    options = config.options.get(config.name, {})
    for option in options:
        if option not in known:
            raise UserError(f"train.optim.options.{config.name}.{option}: no such option.{params.hint(option, known)}")
    groups: dict[RoleConfig, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            own = role(model, name)
            shared = config.roles.get(own.removeprefix("first_"), RoleConfig())
            groups.setdefault(config.roles.get(own, shared), []).append(parameter)
    given = [
        {"params": parameters, "weight_decay": config.weight_decay * own.weight_decay, "scale": own.lr}
        for own, parameters in groups.items()
    ]
    options = {"fused": True, **options} if fused and "fused" in known else options
    try:
        return create_optimizer_v2(
            given, config.name, config.lr, config.weight_decay, filter_bias_and_bn=False, **options
        )
    except (TypeError, ValueError, LookupError) as error:
        raise UserError(f"train.optim.options.{config.name}: {error}") from error


def role(model: nn.Module, name: str) -> str:
    """The role of a parameter, by its place in the network and never by its number or by parts of its name.

    `classifier_weight` and `classifier_bias` belong to layers called `classifier`, which have a row for each class;
    `norm` is the scale and shift of a normalisation; `first_weight` and `first_bias` belong to the first convolution in
    the order of the layers; all other parameters are `weight` or `bias`.
    """
    path, _, last = name.rpartition(".")
    if isinstance(model.get_submodule(path), NORMS):
        return "norm"
    kind = "bias" if last == "bias" else "weight"
    if "classifier" in path.split("."):
        return f"classifier_{kind}"
    convolutions = (at for at, layer in model.named_modules() if isinstance(layer, CONVOLUTIONS))
    return f"first_{kind}" if path == next(convolutions, None) else kind
