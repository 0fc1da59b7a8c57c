"""The optimiser, and the learning rate as a pure function of the step."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn


@dataclass(frozen=True)
class OptimConfig:
    """Section `models.<name>.train.optim` of params.yaml: SGD with momentum."""

    lr: float
    """Base learning rate, for the whole batch."""
    momentum: float
    nesterov: bool
    weight_decay: float
    clip_norm: float | None
    """Largest norm of the gradient of all parameters; null leaves it as it is."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Section `models.<name>.train.schedule` of params.yaml; times are in epochs and may be fractions."""

    kind: Literal["step", "cosine"]
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    """Learning rate of the first step, as a share of the base."""
    milestones: tuple[float, ...] = ()
    """step: epochs from whose first step on the rate is multiplied by `factor` once more."""
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.kind == "cosine" and self.milestones:
            raise ValueError("milestones belong to the schedule 'step', not to 'cosine'")
        if self.warmup_epochs < 0 or not 0 <= self.warmup_start <= 1:
            raise ValueError("warmup_epochs must not be negative, and warmup_start lies in 0..1")


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


def optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.SGD:
    """SGD over the parameters that train; weight decay on all of them, as in the report's code."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(
        trained, config.lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )
