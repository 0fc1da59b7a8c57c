"""Held-out predictions of a cross-validation: every labelled video, answered by the model that never saw it.

    <model>.parquet        a row for each labelled video, in manifest order; see pipeline/predictions/table.py
    folds.tsv              the fold that held out each of these videos
    epochs/<model>.json    the epochs that the folds picked, counted from 1; of how many; and the median of these shares
    tables.md              metrics of each model over all videos, and their spread over the folds

Each fold picks its epoch on its own val split, so what it holds out has decided on nothing. A probe has no epochs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd

from pipeline import metrics, verdict
from pipeline.chance import Chance, random_answers
from pipeline.core import checksums, files, tsv
from pipeline.core.errors import UserError
from pipeline.core.markdown import text_table
from pipeline.folds import partition
from pipeline.predictions.table import PredictionTable

TABLES, EPOCHS = "tables.md", "epochs"
NAMES = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy", "mAP": "sample mAP",
         "class_mAP": "class mAP", "hit_at_1": "hit at 1", "hit_at_5": "hit at 5"}  # fmt: skip
"""Metric -> what it is called in a table."""

SPREAD = (
    "sd: standard deviation over the folds. Their models share most train videos, so it understates by how much\n"
    "another corpus of the kind would change a figure. epoch: the median and range of those that the folds picked."
)


@dataclass(frozen=True)
class Picked:
    """The epoch that each fold picked, counted from 1, and the number of its epochs; both empty for a probe."""

    epochs: tuple[int, ...] = ()
    of: tuple[int, ...] = ()

    @classmethod
    def read(cls, recipes: Sequence[Path]) -> "Picked":
        """From the recipes of all folds.

        Raises:
            UserError: one is missing.
        """
        if missing := [path for path in recipes if not path.is_file()]:
            raise UserError(f"{missing[0]} does not exist. `dvc repro train_fold` makes it.")
        read = [json.loads(checksums.text(path)) for path in recipes]
        trained = [recipe for recipe in read if "epoch" in recipe["result"]]
        epochs = tuple(recipe["result"]["epoch"] + 1 for recipe in trained)
        return cls(epochs, tuple(recipe["train"]["epochs"] for recipe in trained))

    def plain(self) -> dict[str, Any]:
        """Content of epochs/<model>.json; the share is the lower of two medians, and null for a probe."""
        shares = [epoch / of for epoch, of in zip(self.epochs, self.of, strict=True)]
        return {"folds": self.epochs, "of": self.of, "share": median_low(shares) if shares else None}

    def text(self) -> str:
        """The median, and the least and the most; empty for a probe."""
        return f"{median_low(self.epochs)} ({min(self.epochs)} to {max(self.epochs)})" if self.epochs else ""


@dataclass(frozen=True)
class Result:
    """Metrics of one model in a cross-validation, in percent."""

    pooled: dict[str, float]
    """All metrics over all videos together, the headline first; see `metrics.summary`."""
    by_fold: tuple[float, ...]
    """The headline metric of the videos that each fold held out."""
    picked: Picked
    """The epoch that each fold picked."""

    @classmethod
    def of(cls, table: PredictionTable, fold: np.ndarray, picked: Picked) -> "Result":
        """From held-out predictions of V videos, the fold of each, int (V,), and the epoch that each fold picked."""
        scores, targets = table.probabilities, table.targets()
        own = [fold == number for number in np.unique(fold)]
        by_fold = tuple(metrics.headline(table.task, scores[rows], targets[rows]) for rows in own)
        counts = int(table.broken.sum()), table.task, int(table.unseen.sum())
        return cls(metrics.summary(scores, targets, *counts), by_fold, picked)

    @property
    def mean(self) -> float:
        """Mean over the folds of the headline metric."""
        return float(np.mean(self.by_fold))

    @property
    def deviation(self) -> float:
        """Standard deviation over the folds of the headline metric, with the folds less one as its divisor."""
        return float(np.std(self.by_fold, ddof=1))

    def flat(self) -> dict[str, float]:
        """What metrics.json has of the model."""
        shown = {name: value for name, value in self.pooled.items() if name in NAMES}
        return {**shown, "folds_mean": self.mean, "folds_sd": self.deviation}


def gather(model: str, folds: pd.DataFrame, predictions: Path) -> PredictionTable:
    """The held-out predictions of a model for all labelled videos, in the order of the manifest.

    Args:
        model: its name.
        folds: a row for each video, see `partition.read`.
        predictions: holds a folder for each fold, with a folder of prediction files for each model.

    Raises:
        UserError: a prediction file is missing, or is not of the videos that its fold holds out.
    """
    tables = {}
    for number, held_out in folds.groupby("fold"):
        path = predictions / str(number) / model / "test.parquet"
        tables[str(number)] = table = PredictionTable.read(path)
        if list(table.videos) != held_out["video"].tolist():
            raise UserError(
                f"{path} is of other videos than fold {number} holds out. `dvc repro infer_fold@{model}-{number}`."
            )
    first = next(iter(tables.values()))
    rows = {video: row for row, video in enumerate(video for table in tables.values() for video in table.videos)}
    order = [rows[video] for video in folds["video"]]
    labels = [text for table in tables.values() for text in table.labels]
    meta = {key: value for key, value in first.meta.items() if key != "checkpoint"}
    checkpoints = {number: table.meta.get("checkpoint") for number, table in tables.items()}
    return PredictionTable(
        videos=tuple(folds["video"]),
        broken=np.concatenate([table.broken for table in tables.values()])[order],
        labels=tuple(labels[row] for row in order),
        classes=first.classes,
        probabilities=np.concatenate([table.probabilities for table in tables.values()])[order],
        meta={**meta, "checkpoints": checkpoints},
        unseen=np.concatenate([table.unseen for table in tables.values()])[order],
    )


def recipes(model: str, folds: pd.DataFrame, weights: Path) -> list[Path]:
    """The recipes of a model, fold by fold; arguments as those of `gather`."""
    return [weights / str(number) / model / files.RECIPE for number in sorted(set(folds["fold"]))]


def write(models: Sequence[str], splits: Path, weights: Path, predictions: Path, out: Path) -> dict[str, Any]:
    """Gather the held-out predictions of the models, and write them and their tables to a folder.

    Args:
        models: their names.
        splits: folder of the folds' manifests.
        weights: holds a folder for each fold, with a folder for each trained model.
        predictions: holds a folder for each fold, with a folder of prediction files for each model.
        out: written as a whole or not at all.

    Returns:
        The metrics of each model, and the number of videos, for `dvc exp show`.

    Raises:
        UserError: the predictions of a fold are missing or of other videos.
    """
    folds = partition.read(splits)
    tables = {model: gather(model, folds, predictions) for model in models}
    results = {
        model: Result.of(table, folds["fold"].to_numpy(), Picked.read(recipes(model, folds, weights)))
        for model, table in tables.items()
    }
    with files.aside(out) as partial:
        partial.mkdir()
        for model, table in tables.items():
            table.write(partial / f"{model}.parquet")
            files.write_json(partial / EPOCHS / f"{model}.json", results[model].picked.plain())
        tsv.write(partial / partition.FOLDS, folds)
        any_table = next(iter(tables.values()))
        chance = random_answers(any_table.task, any_table.targets())
        files.write_text(partial / TABLES, markdown(tables, results, chance))
        for folder in (partial, partial / EPOCHS):
            checksums.seal(folder)
    counts = {name: value for name, value in next(iter(results.values())).pooled.items() if name not in NAMES}
    luck = {metrics.HEADLINE[any_table.task]: chance.mean, "low": chance.low, "high": chance.high}
    return {**{model: result.flat() for model, result in results.items()}, "chance": luck, "videos": counts}


def markdown(tables: Mapping[str, PredictionTable], results: Mapping[str, Result], chance: Chance) -> str:
    """Content of tables.md, from the models' held-out predictions, their results, and what random answers get."""
    table, first = next(iter(tables.values())), next(iter(results.values()))
    numbers = range(1, len(first.by_fold) + 1)
    spread = [
        [model, *_numbers(next(iter(r.pooled.values())), r.mean, r.deviation, *r.by_fold), r.picked.text()]
        for model, r in results.items()
    ]
    spread.append(["random answers", *_numbers(chance.mean), *[""] * (len(numbers) + 3)])
    names = [name for name in first.pooled if name in NAMES and metrics.tells(name, len(table.classes))]
    pooled = [[model, *_numbers(*(result.pooled[name] for name in names))] for model, result in results.items()]
    title = metrics.TITLE[table.task]
    answered = (
        f"{len(table.videos)} videos in {len(numbers)} folds, each answered by a model that did not see it; "
        f"{int(table.broken.sum())} of them are broken and answered with the class prior. In percent."
    )
    unseen = [f"{count} by {model}" for model, each in tables.items() if (count := int(each.unseen.sum()))]
    answered += f" Likewise answered, as they cannot be seen: {', '.join(unseen)}." if unseen else ""
    lines = ["# Cross-validation", "", answered, "", f"## {title[0].upper()}{title[1:]}", ""]
    lines += text_table(
        ["model", "all videos", "mean of folds", "sd", *(f"fold {n}" for n in numbers), "epoch"], spread
    )
    lines += ["", SPREAD, "", *_verdicts(tables, chance), "", "## All videos together", ""]
    return "\n".join([*lines, *text_table(["model", *(NAMES[name] for name in names)], pooled), ""])


def _verdicts(tables: Mapping[str, PredictionTable], chance: Chance) -> list[str]:
    """A line for each model: whether it is better than chance on all videos."""
    judged = [
        verdict.judge(model, "the held-out videos", table.task, table.probabilities, table.targets(), chance)
        for model, table in tables.items()
    ]
    return [f"* {each.sentence()}" for each in judged]


def _numbers(*values: float) -> list[str]:
    return [f"{value:.2f}" for value in values]
