"""The usual loss of a task, which `loss.name: auto` in conf/ means. It is no loss itself, but the name of one."""

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task
from pipeline.losses import bce, cross_entropy

NAME = "auto"
LOSSES = {MULTI_LABEL: bce, SINGLE_LABEL: cross_entropy}


def usual(task: Task) -> str:
    """The name of the usual loss of a task."""
    return LOSSES[task].__name__.rpartition(".")[2]


def meant(name: str, task: Task) -> str:
    """The name of the loss that `train.loss.name` means for a task.

    Raises:
        UserError: that loss cannot train the task; the message begins with the setting's place in `models.<name>`.
    """
    found = usual(task) if name == NAME else name
    fits = registry.find("losses", found, where="train.loss.name").TASKS
    if task not in fits:
        raise UserError(
            f"train.loss.name: the loss {found!r} is for {' and '.join(fits)}, and dataset.task is {task}, or auto and "
            f"the labels are so. Take {usual(task)!r}, or 'auto', which chooses by the task."
        )
    return found
