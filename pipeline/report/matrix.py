"""Matrix: every class that was answered, found or confused, as the page opens it: a sparse table of label by answer.

Where each video has one label, it is the confusion matrix. Elsewhere a row has its labels that were found, and those
that were missed by the class in their place, as confusion.py counts them; either way a row sums to its videos.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.predictions.table import PredictionTable
from pipeline.report.confusion import answered

CLASSES = 500
"""Most classes: those with the most videos and answers."""
CELLS = 20_000
"""Most cells besides the diagonal: the largest."""


def matrix(table: PredictionTable, pairs: pd.DataFrame) -> dict[str, Any]:
    """Plain values from a labelled table and `sections.confusion_table`, broken videos left out.

    Returns:
        "names" of the classes, "videos" and "found" of each (their numbers), "cells" (a list of [label, answer, times]
        by the numbers of the names), "classes" and "pairs" (how many there are in all).
    """
    targets = table.targets()[table.seen]
    answers, labels = answered(table.probabilities[table.seen], targets), targets > 0
    videos, found, given = labels.sum(axis=0), (labels & answers).sum(axis=0), answers.sum(axis=0)
    busy = np.argsort(-(videos + given), kind="stable")[:CLASSES]
    kept = np.sort(busy[(videos + given)[busy] > 0])
    place = pd.Series(np.arange(len(kept)), index=[table.classes[i] for i in kept])
    inside = pairs[pairs["label"].isin(place.index) & pairs["instead"].isin(place.index)].head(CELLS)
    cells = zip(inside["label"].map(place), inside["instead"].map(place), inside["times"].round(2), strict=True)
    return {
        "names": list(place.index),
        "videos": videos[kept].tolist(),
        "found": found[kept].tolist(),
        "cells": [[int(label), int(answer), times] for label, answer, times in cells],
        "classes": int(((videos + given) > 0).sum()),
        "pairs": len(pairs),
    }
