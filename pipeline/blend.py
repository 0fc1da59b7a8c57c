"""The weights of an ensemble: rules that find them, from the simplest to the most flexible.

    uniform     1 / M each
    single      all on the member that is best by itself
    fitted      the simplex is searched for the best sample mAP
    greedy      members are added one by one, with repetition, each time the one that helps most
    per_class   fitted weights that each class may leave, as far as its own errors bear it out

Weights are not negative and sum to one: an array (M,), or (M, C) where every class has its own. There is no chance but
that of the seed, and no linear algebra that rounds differently on more threads: the same evidence gives the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.rivals import Rivals

RULES = ("uniform", "single", "fitted", "greedy", "per_class")
COARSE = 1000
"""Videos on which the many starts are tried; the best of them go on with all videos."""
POLISHED = 2
"""Starts that go on."""
STEPS = (0.32, 0.16, 0.08, 0.04, 0.02, 0.01)
"""Share of the whole weight that a move gives to a member or takes from it; many starts end at STEPS[FINE]."""
FINE = 3
RADIUS = 0.1
"""Distance that the small steps may go (half the sum of differences) before the rivals near them are looked up anew,"""
CENTRES = 5
"""at most so many times."""
GAIN = 5e-3
"""Percent points of sample mAP below which a move is not worth the time."""
ROUNDS = 16
"""Members that the greedy rule adds; the best prefix counts."""
_DESCENTS = 150


@dataclass(frozen=True)
class Search:
    """How the rules search."""

    seed: int
    starts: int
    """Random starts of `fitted`, beside the uniform weights and the best member."""
    shrinkage: float
    """Of `per_class`: how many videos' worth of squared error it costs to move all weight."""


@dataclass(frozen=True)
class Evidence:
    """What weights are fitted to: labelled videos as M members see them."""

    rivals: Rivals
    errors: np.ndarray | None
    """float64 (C, M, M): of each class, the products of two members' errors, summed over the videos. Only the rule
    `per_class` asks for them."""
    search: Search

    def of_members(self, chosen: Sequence[int]) -> "Evidence":
        """What some members see."""
        errors = None if self.errors is None else self.errors[:, chosen][:, :, chosen]
        return replace(self, rivals=self.rivals.of_members(chosen), errors=errors)

    @cached_property
    def fitted(self) -> np.ndarray:
        """The fitted weights (M,), of which `per_class` starts too."""
        return fit(self.rivals, self.search)


def find(rule: str, evidence: Evidence, near: np.ndarray | None = None) -> np.ndarray:
    """The weights of a rule.

    With `near` (M,) the rules that search (fitted, greedy, per_class) do so from these weights alone, as `fitted` does.
    """
    members = len(evidence.rivals.margins)
    if rule == "uniform" or members == 1:
        return np.full(members, 1 / members)
    if rule == "single":
        return _plain(evidence.rivals)[1]
    if rule == "greedy" and near is None:
        return greedy(evidence.rivals)
    fitted = evidence.fitted if near is None else fit(evidence.rivals, evidence.search, near)
    if rule != "per_class":
        return fitted
    assert evidence.errors is not None
    return per_class(evidence.errors, fitted, evidence.search.shrinkage)


def fit(rivals: Rivals, search: Search, near: np.ndarray | None = None) -> np.ndarray:
    """Weights (M,) on the simplex that maximise the sample mAP: coordinate ascent, from coarse to fine.

    It starts from the uniform weights, the best member and random weights, or else from `near` (M,) alone. On the
    videos that it is fitted to it is never worse than the uniform weights and the best member, or `near`.
    """
    rng = np.random.default_rng(search.seed)
    few = rivals.of_videos(rng.permutation(len(rivals.positives)) < COARSE)
    known = _plain(rivals) if near is None else [near]
    drawn = rng.dirichlet(np.ones(len(rivals.margins)), size=search.starts if near is None else 0)
    coarse = sorted((ascend(few, start, STEPS[: FINE + 1]) for start in [*known, *drawn]), key=lambda found: -found[0])
    candidates = [*known, *(refine(rivals, weights) for _, weights in coarse[:POLISHED])]
    return candidates[_best(rivals, candidates)]


def ascend(rivals: Rivals, start: np.ndarray, steps: Sequence[float]) -> tuple[float, np.ndarray]:
    """Coordinate ascent of the sample mAP from weights (M,): the figure in percent, and the weights.

    A move gives one member a share of the whole weight or takes it away, the others keeping their proportions. A sweep
    makes every move that gains; the share is halved when a sweep gains nothing.
    """
    weights, fused = start, rivals.fuse(start)
    best = rivals.sample_map(fused >= 0)
    for step in steps:
        gained = True
        while gained:
            gained = False
            for member, margins in enumerate(rivals.margins):
                towards = margins - fused
                for share in _shares(weights[member], step):
                    score = rivals.sample_map(np.float32(share) * towards >= -fused)
                    if score > best + GAIN:
                        weights = (1 - share) * weights
                        weights[member] = max(0.0, weights[member] + share)
                        weights /= weights.sum()
                        fused = rivals.fuse(weights)
                        best, gained = score, True
                        break
    return best, weights


def refine(rivals: Rivals, start: np.ndarray) -> np.ndarray:
    """Coordinate ascent by small steps from weights (M,), looking only at the rivals that can turn near them."""
    for _ in range(CENTRES):
        found = ascend(rivals.near(start, RADIUS), start, STEPS[FINE:])[1]
        if np.abs(found - start).sum() / 2 <= RADIUS:
            break
        start = found
    return found


def greedy(rivals: Rivals) -> np.ndarray:
    """Weights (M,) by forward selection with replacement.

    Caruana, Niculescu-Mizil, Crew, Ksikes: "Ensemble Selection from Libraries of Models", ICML 2004, section 2.
    The first member is the best one and the best prefix is taken, so it is never worse than the best member.
    """
    times = np.zeros(len(rivals.margins))
    total = np.zeros_like(rivals.margins[0])
    best, chosen = -1.0, times
    for _ in range(ROUNDS):
        scores = [rivals.sample_map(margins >= -total) for margins in rivals.margins]
        member = int(np.argmax(scores))
        total += rivals.margins[member]
        times[member] += 1
        if scores[member] > best:
            best, chosen = scores[member], times.copy()
    return chosen / chosen.sum()


def errors(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Products of the members' errors (C, M, M), of probabilities (M, V, C) and many-hot targets (V, C)."""
    wrong = probabilities - targets.astype(np.float32)
    products = np.empty((targets.shape[1], len(wrong), len(wrong)))
    for i, one in enumerate(wrong):
        for j, other in enumerate(wrong[: i + 1]):
            products[:, i, j] = products[:, j, i] = (one * other).sum(axis=0, dtype=np.float64)
    return products


def per_class(errors: np.ndarray, centre: np.ndarray, shrinkage: float) -> np.ndarray:
    """Weights (M, C): each class' on the simplex, where w'Ew + shrinkage * |w - centre|^2 / 2 is least.

    With weights that sum to one, w'Ew is the squared error of the class' fused probability, which grows with its
    videos: a class that is seldom seen stays near the `centre` (M,). Found by projected gradient descent.
    """
    rate = 1 / (2 * np.trace(errors, axis1=1, axis2=2) + shrinkage)[:, None]  # 1 / a bound of the curvature
    weights = np.tile(centre, (len(errors), 1))
    for _ in range(_DESCENTS):
        gradient = 2 * np.einsum("cmn,cn->cm", errors, weights) + shrinkage * (weights - centre)
        weights = _on_simplex(weights - rate * gradient)
    return weights.T


def _plain(rivals: Rivals) -> list[np.ndarray]:
    """The uniform weights, and all weight on the best member."""
    singles = np.eye(len(rivals.margins))
    return [np.full(len(singles), 1 / len(singles)), singles[_best(rivals, singles)]]


def _best(rivals: Rivals, candidates: Sequence[np.ndarray] | np.ndarray) -> int:
    """The first of the best candidates (M,)."""
    return int(np.argmax([rivals.sample_map(rivals.fuse(weights) >= 0) for weights in candidates]))


def _shares(weight: float, step: float) -> list[float]:
    """What a move may add to a member of this weight, as a share of the whole: up, and down to zero at most."""
    if weight == 0:
        return [step]
    return [step] if weight >= 1 else [step, -min(step, weight / (1 - weight))]


def _on_simplex(points: np.ndarray) -> np.ndarray:
    """The nearest points (R, M) whose coordinates are not negative and sum to one.

    Duchi, Shalev-Shwartz, Singer, Chandra: "Efficient Projections onto the l1-Ball", ICML 2008, figure 1.
    """
    descending = -np.sort(-points, axis=1)
    excess = (np.cumsum(descending, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    kept = (descending > excess).sum(axis=1)
    return np.maximum(points - np.take_along_axis(excess, kept[:, None] - 1, axis=1), 0)
