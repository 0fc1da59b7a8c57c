"""Confusion with several labels a video: which class stands where a label should. Arrays in, numbers out.

Of a video with k labels, the k highest scores are taken as its answer. The labels that are not among them are missed,
and as many other classes stand in their place. Nobody knows which of these replaced which label, so that each missed
label is shared evenly among them; the table then sums to the number of labels missed.
"""

import numpy as np


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


def most_confused(table: np.ndarray, most: int) -> list[tuple[int, int, float]]:
    """Triples (label, other class, times) of a `count_confusions` table, at most `most`, highest first.

    Ties keep the table's order, and pairs that were never confused are left out.
    """
    order = np.argsort(-table, axis=None, kind="stable")[:most]
    found = [(*divmod(int(cell), len(table)), float(table.flat[cell])) for cell in order]
    return [(label, other, times) for label, other, times in found if times > 0]
