"""Precision and recall of a model over all (video, class) pairs: how many of its scores above a threshold are labels.

Score and label arrays in, numbers out. Scores that tie stand above a threshold together, as in scikit-learn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report import charts
from pipeline.report.charts import Axis, Series
from pipeline.report.inputs import Inputs

POINTS = 100
"""Most points of a curve, evenly spaced over recall."""
COLUMNS = ("model", "threshold", "precision", "recall")


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall, 0..1, of the pairs with at least the threshold as their score: at P thresholds, falling."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    average: float
    """Average precision of all pairs together (micro-averaged), 0..1."""
    best: tuple[float, ...]
    """F1, threshold, precision and recall where F1 is highest, of those the highest threshold."""


def curve(scores: np.ndarray, targets: np.ndarray) -> PrecisionRecall:
    """Curve of scores (V, C), given many-hot targets (V, C).

    Raises:
        ValueError: shapes differ, or no pair is a label.
    """
    if scores.shape != targets.shape or not targets.any():
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be of one shape, with a label")
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")
    falling = flat[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of those that tie
    hits = np.cumsum(targets.ravel()[order] > 0)[last]
    precision, recall = hits / (last + 1), hits / hits[-1]
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    f1 = 2 * hits / (last + 1 + hits[-1])
    at = int(f1.argmax())
    best = tuple(float(values[at]) for values in (f1, falling[last], precision, recall))
    drawn = np.unique(np.searchsorted(recall, np.arange(1, POINTS + 1) / POINTS))
    return PrecisionRecall(falling[last][drawn], precision[drawn], recall[drawn], average, best)


def by_model(inputs: Inputs) -> dict[str, PrecisionRecall]:
    """The curve of every member, and of the ensemble where there are several; one model at a time is in memory."""
    found = {}
    for member in inputs.members:
        table = inputs.table(member)
        found[member] = curve(table.probabilities, table.targets())
    if len(found) > 1:
        found["ensemble"] = curve(inputs.fused.probabilities, inputs.fused.targets())
    return found


def table(curves: Mapping[str, PrecisionRecall]) -> pd.DataFrame:
    """A row for each point that is drawn of a model: model, threshold, precision, recall."""
    parts = [
        pd.DataFrame({"model": name, "threshold": one.threshold, "precision": one.precision, "recall": one.recall})
        for name, one in curves.items()
    ]
    return pd.concat(parts)[list(COLUMNS)]


def section(curves: Mapping[str, PrecisionRecall]) -> dict[str, Any]:
    """Curves of all models in one chart, and their average precision and best F1."""
    series = [
        Series(name, 100 * one.recall, 100 * one.precision, strong=name == "ensemble") for name, one in curves.items()
    ]
    axes = Axis("recall, percent", 0, 100), Axis("precision, percent", 0, 100)
    return {"chart": charts.lines("Precision by recall", *axes, series), "rows": list(curves.items())}
