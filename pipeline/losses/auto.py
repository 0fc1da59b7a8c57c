"""The usual loss of a task, which `loss.name: auto` in conf/ means. It is no loss itself, but the name of one."""

from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task
from pipeline.losses import bce, cross_entropy

NAME = "auto"
LOSSES = {MULTI_LABEL: bce, SINGLE_LABEL: cross_entropy}


def usual(task: Task) -> str:
    """The name of the usual loss of a task."""
    return LOSSES[task].__name__.rpartition(".")[2]
