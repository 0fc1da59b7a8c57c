"""What is averaged in an ensemble: the scales that scores are brought to, and their weighted mean.

The mean is that of the members' probabilities, of their logits (a geometric mean, in which a sure member counts for
more), or of their ranks (in which no member's calibration counts).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

MEANS = ("probability", "logit", "rank")
LEVEL = {"probability": 0.0, "logit": 0.0, "rank": 1e-3}
"""Weighted means in float32 that differ by less are level. Ranks tie by the thousand, and rounding must not part them;
those that differ do so by far more, unless weights are odd indeed."""
_LOWEST, _HIGHEST = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
"""A float32 probability of 0 or 1 has no logit; these are its neighbours that have one."""
_ROWS = 256
"""Videos that are fused at a time: as many as a core's cache holds."""


def scale(probabilities: np.ndarray, mean: str) -> np.ndarray:
    """Probabilities (..., C) on the scale on which they are averaged: float32.

    Ranks go from 1 to C, the highest, and classes that tie share their mean rank: multiples of a half, which float32
    holds and adds exactly.
    """
    if mean == "logit":
        inside = np.clip(probabilities, _LOWEST, _HIGHEST)
        return np.log(inside / (1 - inside))
    if mean == "rank":
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        return pd.DataFrame(rows).rank(axis=1).to_numpy(np.float32).reshape(probabilities.shape)
    return probabilities


def fuse(
    scores: Sequence[np.ndarray] | np.ndarray, weights: np.ndarray, mean: str, videos: np.ndarray | None = None
) -> np.ndarray:
    """The weighted mean of scaled scores (M, V, C), in 0..1: float32 (V, C), or of the rows that `videos` (N,) names.

    The mean of ranks is a share of the C classes. Weights are (M,), or (M, C) where every class has its own. Summed
    member by member in float64: the same on any thread count, and what ties stays tied.
    """
    classes = scores[0].shape[1]
    chosen = np.arange(len(scores[0])) if videos is None else videos
    fused = np.empty((len(chosen), classes), np.float32)
    for first in range(0, len(chosen), _ROWS):
        rows = chosen[first : first + _ROWS]
        total = np.zeros((len(rows), classes))
        for weight, member in zip(weights, scores, strict=True):
            if np.any(weight):
                total += weight * member[rows]
        if mean == "logit":
            total = np.exp(-np.logaddexp(0, -total))
        fused[first : first + _ROWS] = total / classes if mean == "rank" else total
    return fused
