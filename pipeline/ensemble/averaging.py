"""Averages of several models' scores: of probabilities, of logits or of ranks.

The mean of logits is a geometric mean of odds, in which a sure member counts for more. The mean of ranks ignores how
well each member is calibrated.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task
from pipeline.ensemble import unseen

MEANS = ("probability", "logit", "rank")
TIE_TOLERANCE = {"probability": 0.0, "logit": 0.0, "rank": 1e-3}
"""Difference up to which two weighted means in float32 count as tied, by mean. Ranks tie by the thousand, and rounding
must not separate them; means of ranks that do differ, differ by far more for all but very odd weights."""
_LOWEST, _HIGHEST = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
"""The smallest and largest float32 probabilities whose logit is finite; 0 and 1 are moved to them."""
_ROWS = 256
"""Videos that are fused at a time: their scores fit into the cache of a CPU core."""


def means(task: Task) -> tuple[str, ...]:
    """The means that make sense for a task."""
    return MEANS if task == MULTI_LABEL else MEANS[:2]


def scale(probabilities: np.ndarray, mean: str, task: Task) -> np.ndarray:
    """Convert probabilities (..., C), 0..1, to the scale on which `mean` averages: float32 (..., C).

    The scale is that of the probabilities themselves, of their logits, or of ranks from 1 to C, where C is the highest
    and classes that tie share their mean rank. Such ranks are multiples of 1/2, which float32 holds and adds exactly.
    """
    if mean == "logit":
        inside = np.clip(probabilities, _LOWEST, _HIGHEST)
        if task == SINGLE_LABEL:
            return np.asarray(np.log(inside))
        logits: np.ndarray = np.log(inside / (1 - inside))
        return logits
    if mean == "rank":
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        ranks: np.ndarray = pd.DataFrame(rows).rank(axis=1).to_numpy(np.float32)
        return ranks.reshape(probabilities.shape)
    return probabilities


def fuse(
    scores: Sequence[np.ndarray] | np.ndarray,
    weights: np.ndarray,
    mean: str,
    task: Task,
    videos: np.ndarray | None = None,
    sees: np.ndarray | None = None,
) -> np.ndarray:
    """Weighted mean of M members' scaled scores (M, V, C), back in 0..1: float32 (V, C).

    A mean of logits becomes a probability again, and a mean of ranks a share of the C classes. The sum is made in
    float64, member by member, so that it is the same for any number of threads and ties stay ties.

    Args:
        scores: what `scale` returns for each member.
        weights: member weights (M,), or (M, C) where every class has its own.
        mean: one of `MEANS`.
        task: whether a mean of logits becomes probabilities by softmax or by sigmoid.
        videos: positions (N,) of the videos to fuse; the result is then (N, C). None fuses all.
        sees: which members see which videos, bool (M, V); see unseen.py. None: every member sees all.
    """
    classes = scores[0].shape[1]
    chosen = np.arange(len(scores[0])) if videos is None else videos
    fused = np.empty((len(chosen), classes), np.float32)
    for pattern, places in unseen.alike(sees, chosen):
        own = weights if pattern is None else unseen.renormalised(weights, pattern)
        for first in range(0, len(places), _ROWS):
            rows = places[first : first + _ROWS]
            fused[rows] = _mean([member[chosen[rows]] for member in scores], own, mean, task)
    return fused


def _mean(scores: Sequence[np.ndarray], weights: np.ndarray, mean: str, task: Task) -> np.ndarray:
    """The mean of a few videos, float64 (V, C); arguments as those of `fuse`."""
    total = np.zeros(scores[0].shape)
    for weight, member in zip(weights, scores, strict=True):
        if np.any(weight):
            total += weight * member
    if mean == "logit":
        return np.exp(-np.logaddexp(0, -total)) if task == MULTI_LABEL else softmax(total)
    return total / scores[0].shape[1] if mean == "rank" else total


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., C) that sum to one, from finite logits (..., C)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
