"""Sample mAP and friends: score and label arrays in, numbers out.

The challenge's metric is the average precision of each VIDEO over the classes, averaged over videos; class mAP turns
the table around. Average precision is scikit-learn's: precision at each positive, step interpolation, and scores that
tie count as one threshold.
"""

import numpy as np


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each row, 0..1: scores (R, N), many-hot targets (R, N) -> float64 (R,).

    Raises:
        ValueError: shapes differ, a score is not finite, or a row has no positive.
    """
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be of one shape (rows, columns)")
    if not np.isfinite(scores).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(scores).all(axis=1)))} has a score that is not finite")
    positives = (targets > 0).sum(axis=1)
    if (positives == 0).any():
        raise ValueError(f"row {int(np.argmin(positives))} has no positive, so its average precision is undefined")

    order = np.argsort(-scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    hits = np.take_along_axis(targets > 0, order, axis=1)
    ends = _tie_ends(ranked)
    found = np.take_along_axis(np.cumsum(hits, axis=1, dtype=np.int32), ends, axis=1)
    precision = found / (ends + 1)
    return np.einsum("rn,rn->r", precision, hits, dtype=np.float64) / positives


def sample_map(scores: np.ndarray, targets: np.ndarray) -> float:
    """Sample mAP in percent of (V, C) arrays: the metric of the challenge."""
    return 100 * float(average_precision(scores, targets).mean())


def class_average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class over the videos, 0..1, float64 (C,); NaN where a class has no positive."""
    present = (targets > 0).any(axis=0)
    result = np.full(targets.shape[1], np.nan)
    if present.any():
        result[present] = average_precision(scores.T[present], targets.T[present])
    return result


def class_map(scores: np.ndarray, targets: np.ndarray) -> float:
    """Class mAP in percent: the mean over the classes that have a positive."""
    return 100 * float(np.nanmean(class_average_precision(scores, targets)))


def hit_at(k: int, scores: np.ndarray, targets: np.ndarray) -> float:
    """Percent of the videos with a label among their k highest scores; ties go to the class that comes first."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return 100 * float(np.take_along_axis(targets > 0, top, axis=1).any(axis=1).mean())


def summary(scores: np.ndarray, targets: np.ndarray, broken: int) -> dict[str, float]:
    """All figures of one set of predictions (V, C), with the denominators; `broken` rows hold the prior."""
    return {
        "mAP": sample_map(scores, targets),
        "class_mAP": class_map(scores, targets),
        "hit_at_1": hit_at(1, scores, targets),
        "hit_at_5": hit_at(5, scores, targets),
        "n_expected": len(scores),
        "n_scored": len(scores) - broken,
        "n_broken": broken,
    }


def _tie_ends(ranked: np.ndarray) -> np.ndarray:
    """For descending rows, the last position that has the same score: (R, N) -> int (R, N)."""
    columns = ranked.shape[1]
    positions = np.arange(columns)
    last_of_tie = np.ones(ranked.shape, dtype=bool)
    last_of_tie[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    ends = np.where(last_of_tie, positions, columns - 1)
    return np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
