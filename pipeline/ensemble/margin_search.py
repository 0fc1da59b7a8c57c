"""Searches for the member weights with the best sample mAP, which know of the scores their `RankMargins` alone."""

from collections.abc import Sequence

import numpy as np

from pipeline.ensemble.fast_map import RankMargins

STEPS = (0.32, 0.16, 0.08, 0.04, 0.02, 0.01)
"""Shares of the whole weight that a move gives to a member or takes from it, from coarse to fine."""
COARSE, FINE = STEPS[:4], STEPS[3:]
"""Those of the search from every start, and those with which it goes on near the best of what was found."""
RADIUS = 0.1
"""Distance (half the sum of absolute differences) within which the fine search knows which pairs may change order."""
MAX_REFINEMENTS = 5
"""Times that the fine search may leave that radius and begin anew from where it is."""
MIN_GAIN = 5e-3
"""Gain in percent points of sample mAP below which a move is not made."""
GREEDY_ROUNDS = 16
"""Members that the greedy rule adds, repetitions included; it keeps the best prefix."""


def coordinate_ascent(margins: RankMargins, start: np.ndarray, steps: Sequence[float]) -> tuple[float, np.ndarray]:
    """Sample mAP in percent, and the member weights (M,) that reach it from `start` (M,).

    A move gives one member a share of the whole weight or takes it away, while the others keep their proportions. A
    sweep makes every move that gains; when a sweep gains nothing, the next step is tried.
    """
    weights, fused = start, margins.fuse(start)
    best = margins.sample_map(fused)
    for step in steps:
        gained = True
        while gained:
            gained = False
            for member, own in enumerate(margins.margins):
                towards, threshold = own - fused, -(fused + np.float32(margins.tie_tolerance))
                for share in _moves(weights[member], step):
                    score = margins.sample_map_where(np.float32(share) * towards >= threshold)
                    if score > best + MIN_GAIN:
                        weights = (1 - share) * weights
                        weights[member] = max(0.0, weights[member] + share)
                        weights /= weights.sum()
                        fused = margins.fuse(weights)
                        best, gained = score, True
                        break
    return best, weights


def refine(margins: RankMargins, start: np.ndarray) -> np.ndarray:
    """Member weights (M,) by coordinate ascent in small steps from `start` (M,).

    Only the pairs that can change order near the start are looked at, which are few.
    """
    for _ in range(MAX_REFINEMENTS):
        found = coordinate_ascent(margins.near(start, RADIUS), start, FINE)[1]
        if np.abs(found - start).sum() / 2 <= RADIUS:
            break
        start = found
    return found


def greedy(margins: RankMargins) -> np.ndarray:
    """Member weights (M,) by forward selection with replacement.

    Caruana, Niculescu-Mizil, Crew, Ksikes: "Ensemble Selection from Libraries of Models", ICML 2004, section 2.
    The first member is the best one and the best prefix is taken, so it is never worse than the best member.
    """
    times = np.zeros(len(margins.margins))
    total = np.zeros_like(margins.margins[0])
    best, chosen = -1.0, times
    for _ in range(GREEDY_ROUNDS):
        threshold = -(total + np.float32(margins.tie_tolerance))
        scores = [margins.sample_map_where(own >= threshold) for own in margins.margins]
        member = int(np.argmax(scores))
        total += margins.margins[member]
        times[member] += 1
        if scores[member] > best:
            best, chosen = scores[member], times.copy()
    weights: np.ndarray = chosen / chosen.sum()
    return weights


def _moves(weight: float, step: float) -> list[float]:
    """Shares of the whole weight that may be added to a member of this weight: up, and down to zero at most."""
    if weight == 0:
        return [step]
    return [step] if weight >= 1 else [step, -min(step, weight / (1 - weight))]
