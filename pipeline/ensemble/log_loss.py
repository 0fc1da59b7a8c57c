"""Member weights where each video has one label: those with the least log loss of the mean."""

from collections.abc import Sequence

import numpy as np

from pipeline.ensemble import averaging, unseen

STEPS = 200
_RATE = 1.0
_LEAST = 1e-6
"""Fall of the loss at which the descent ends."""
_FLOOR = float(np.finfo(np.float32).tiny)


def log_loss(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Log loss of each video, float64 (V,): probabilities and one-hot labels are (V, C)."""
    own = probabilities[targets > 0].astype(np.float64)
    loss: np.ndarray = -np.log(np.maximum(own, _FLOOR))
    return loss


def fit(scores: Sequence[np.ndarray], targets: np.ndarray, mean: str, sees: np.ndarray | None = None) -> np.ndarray:
    """Member weights (M,) on the simplex with the least log loss of the mean.

    The loss is convex in them where every member sees all videos, and nearly so where some do not.
    Found by exponentiated gradient descent (Kivinen, Warmuth 1997) from the uniform weights; a step that does not help
    is halved.

    Args:
        scores: of M members, as `averaging.scale` returns them for one label a video: (V, C) each.
        targets: one-hot labels (V, C).
        mean: probability or logit.
        sees: which members see which videos, bool (M, V); see unseen.py.
    """
    weights = np.full(len(scores), 1 / len(scores))
    loss, gradient = _descent(scores, targets, mean, weights, sees)
    rate = _RATE
    for _ in range(STEPS):
        moved = averaging.softmax(np.log(np.maximum(weights, _FLOOR)) - rate * gradient)
        new, slope = _descent(scores, targets, mean, moved, sees)
        if new > loss:
            rate /= 2
            continue
        fell, weights, loss, gradient, rate = loss - new, moved, new, slope, 2 * rate
        if fell < _LEAST:
            break
    return weights


def _descent(
    scores: Sequence[np.ndarray], targets: np.ndarray, mean: str, weights: np.ndarray, sees: np.ndarray | None
) -> tuple[float, np.ndarray]:
    """Mean log loss at the weights, and its gradient (M,)."""
    if sees is None:
        return _descent_of_all(scores, targets, mean, weights)
    loss, gradient = 0.0, np.zeros(len(weights))
    for pattern, rows in unseen.alike(sees, np.arange(len(targets))):
        assert pattern is not None
        own, inside = unseen.renormalised(weights, pattern), pattern if pattern.any() else ~pattern
        part, slope = _descent_of_all([member[rows] for member in scores], targets[rows], mean, own)
        loss += part * len(rows) / len(targets)
        whole = max(float(weights[inside].sum()), _FLOOR)  # by which the weights are divided: the chain rule follows
        gradient += np.where(inside, slope - own @ slope, 0) / whole * len(rows) / len(targets)
    return loss, gradient


def _descent_of_all(
    scores: Sequence[np.ndarray], targets: np.ndarray, mean: str, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean log loss at the weights of members that see all videos, and its gradient (M,)."""
    own = np.stack([member[targets > 0] for member in scores]).astype(np.float64)
    if mean == "probability":
        fused = np.maximum(weights @ own, _FLOOR)
        return float(-np.log(fused).mean()), -(own / fused).mean(axis=1)
    total = sum(weight * member.astype(np.float64) for weight, member in zip(weights, scores, strict=True))
    fused = averaging.softmax(np.asarray(total))
    expected = np.array([(fused * member).sum(axis=1).mean() for member in scores])
    return float(log_loss(fused, targets).mean()), expected - own.mean(axis=1)
