"""Confusion: which class stands where a label should. Arrays in, numbers out.

Where each video has one label, that is the confusion matrix. Of a video with k labels, the k highest scores are taken
as its answer. The labels that are not among them are missed, and as many other classes stand in their place. Nobody
knows which of these replaced which label, so that each missed label is shared evenly among them; the table then sums to
the number of labels missed.
"""

import numpy as np
import pandas as pd


def count_confusions(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Count how often a label (row) is missed in favour of another class (column): float64 (C, C), from (V, C) arrays.

    Scores that tie go to the class that comes first.

    Raises:
        ValueError: the shapes differ.
    """
    if scores.shape != targets.shape:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be of one shape (videos, classes)")
    labels = targets > 0
    place = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    answer = place < labels.sum(axis=1, keepdims=True)
    missed, instead = labels & ~answer, answer & ~labels
    shares: np.ndarray = missed.T.astype(np.float64) @ (instead / np.maximum(1, instead.sum(axis=1, keepdims=True)))
    return shares


def confusion_matrix(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Videos of each true class (row) by the class answered (column), where each has one label: int64 (C, C).

    Scores and one-hot labels are (V, C); of classes that tie, the first is the answer.
    """
    table = np.zeros((targets.shape[1],) * 2, dtype=np.int64)
    np.add.at(table, (targets.argmax(axis=1), scores.argmax(axis=1)), 1)
    return table


def recall_and_precision(table: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a class of a `confusion_matrix`, worst recall first: class, videos, answers, recall and precision.

    Recall is the share of the class' videos that are answered with it, precision the share of such answers that are
    right, both in percent; NaN where there is none of them.
    """
    videos, answers, right = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    with np.errstate(invalid="ignore"):
        shares = {"recall": 100 * right / videos, "precision": 100 * right / answers}
    found = pd.DataFrame({"class": classes, "videos": videos, "answers": answers, **shares})
    return found.sort_values(["recall", "precision"], kind="stable").reset_index(drop=True)


def most_confused(table: np.ndarray, most: int) -> list[tuple[int, int, float]]:
    """Triples (label, other class, times) of a `count_confusions` table, at most `most`, highest first.

    Ties keep the table's order, and pairs that were never confused are left out.
    """
    order = np.argsort(-table, axis=None, kind="stable")[:most]
    found = [(*divmod(int(cell), len(table)), float(table.flat[cell])) for cell in order]
    return [(label, other, times) for label, other, times in found if times > 0]
