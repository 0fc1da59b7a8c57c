"""The task of a corpus: whether a video has one label or several.

`dataset.task` says so, or `auto`, which looks at the labels. The task decides on the loss, on what turns logits into
probabilities (softmax or sigmoid), and on the metric that is looked at first.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pipeline.core.errors import UserError
from pipeline.core.labels import hidden
from pipeline.core.manifest import Manifest
from pipeline.core.names import LABEL_SEPARATOR, NO_CLASS, UNKNOWN

Task = Literal["multi_label", "single_label"]
MULTI_LABEL: Final = "multi_label"
"""A video has one or more labels, and classes do not exclude one another."""
SINGLE_LABEL: Final = "single_label"
"""Every video has exactly one label."""
TASKS: tuple[Task, ...] = (MULTI_LABEL, SINGLE_LABEL)
AUTO: Final = "auto"


def resolve(setting: str, manifest: Manifest) -> Task:
    """The task that `dataset.task` means for a corpus: `auto` is single_label where each labelled video has one label.

    Raises:
        UserError: the setting is single_label, and a video has several labels or shows none of the classes, or nobody
            knows whether it shows one of them.
    """
    if setting == MULTI_LABEL:
        return MULTI_LABEL
    labels = manifest.table["labels"]
    several = labels.str.contains(LABEL_SEPARATOR, regex=False) | labels.str.startswith(UNKNOWN)
    if not several.any():
        return SINGLE_LABEL
    if setting == AUTO:
        return MULTI_LABEL
    row = manifest.table.iloc[int(several.to_numpy().argmax())]
    if row["labels"] == NO_CLASS:
        raise UserError(
            f"dataset.task is single_label, but {row['video']} shows none of the classes (dataset.unlabelled: "
            "negative). Give such videos a class of their own, or set dataset.task=multi_label in conf/dataset/, then "
            "`pipeline params`."
        )
    if hidden(row["labels"]):
        raise UserError(
            f"dataset.task is single_label, but of {row['video']} some labels are not known ({row['labels']!r}), and "
            "cross-entropy and accuracy need the one. Give it that alone, or set dataset.task=multi_label in "
            "conf/dataset/, then `pipeline params`."
        )
    raise UserError(
        f"dataset.task is single_label, but {row['video']} has the labels {row['labels']!r} ({int(several.sum())} such "
        "videos). Give each video one label, or set dataset.task=multi_label in conf/dataset/, then `pipeline params`."
    )


def noted(task: Task) -> dict[str, str]:
    """What a recipe or the metadata of a file hold to name their task: nothing means multi_label."""
    return {} if task == MULTI_LABEL else {"task": task}


def read(noted: Mapping[str, Any], where: str) -> Task:
    """The task that a recipe or metadata name; `where` says in messages whose they are.

    Raises:
        UserError: there is no such task.
    """
    found = noted.get("task", MULTI_LABEL)
    if found not in TASKS:
        raise UserError(f"{where}: the task {found!r} is none of {', '.join(TASKS)}. Make the file again.")
    task: Task = found
    return task
