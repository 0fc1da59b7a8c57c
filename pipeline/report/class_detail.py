"""What the page tells of one class when it is opened: hits by threshold, its misses and its false alarms."""

from typing import Any

import numpy as np

from pipeline.core.labels import shown
from pipeline.core.names import LABEL_SEPARATOR
from pipeline.predictions.table import PredictionTable

STEPS = 100
"""Thresholds are 0, 0.01, ... 1; a score that is at least the threshold counts as a find."""
LISTED = 6
"""Videos of each list."""
LABELS = 4
"""Labels of a video that are named; of fifty, all would make the page large."""


def details(table: PredictionTable, most: int) -> dict[str, Any]:
    """What is told of the classes with positives, at most `most` of them, those with the most positives first.

    Broken videos, which no model has seen, stay out, and from a class those of which nobody knows whether they show it.

    Returns:
        Plain values. "videos" is the number of videos, "steps" of thresholds less one, and "classes" maps a name to
        "positives" (their number), "hits" and "found" (of the positives, and of all videos, those at or above each
        threshold), "missed" and "alarms" (lists of [video, score, labels], the worst first).
    """
    seen = table.seen
    scores, targets = table.probabilities[seen], table.targets()[seen]
    videos, labels = np.array(table.videos, object)[seen], np.array(table.labels, object)[seen]
    counts = (targets > 0).sum(axis=0)
    chosen = [int(c) for c in np.argsort(-counts, kind="stable")[:most] if counts[c]]
    found = {}
    for column in chosen:
        known = np.flatnonzero(targets[:, column] >= 0)
        score, positive = scores[known, column], targets[known, column] > 0
        order = np.argsort(score, kind="stable")
        missed, alarms = order[positive[order]], order[::-1][~positive[order[::-1]]]

        def rows(of: np.ndarray, score: np.ndarray = score, row: np.ndarray = known) -> list[list[Any]]:
            return [[str(videos[row[v]]), round(float(score[v]), 4), _some(str(labels[row[v]]))] for v in of[:LISTED]]

        found[table.classes[column]] = {
            "positives": int(counts[column]),
            "hits": _at_least(score[positive]),
            "found": _at_least(score),
            "missed": rows(missed),
            "alarms": rows(alarms),
        }
    return {"videos": len(scores), "steps": STEPS, "classes": found}


def _some(labels: str) -> str:
    names = shown(labels)
    return LABEL_SEPARATOR.join(names[:LABELS]) + (f" and {len(names) - LABELS} more" if len(names) > LABELS else "")


def _at_least(scores: np.ndarray) -> list[int]:
    """How many scores are at or above each threshold."""
    thresholds = np.arange(STEPS + 1) / STEPS
    ascending = np.sort(scores.astype(np.float64))
    return [int(count) for count in len(scores) - np.searchsorted(ascending, thresholds, side="left")]
