"""The weights of an ensemble: rules that find them, from the simplest to the most flexible.

    uniform     1 / M each
    single      all on the member that is best by itself
    fitted      the simplex is searched for the best sample mAP
    greedy      members are added one by one, with repetition, each time the one that helps most
    per_class   fitted weights that each class may leave, as far as its own errors bear it out

Weights are not negative and sum to one: an array (M,), or (M, C) where every class has its own. There is no chance but
that of the seed, and no linear algebra that rounds differently on more threads: the same evidence gives the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline import metrics
from pipeline.ensemble import averaging
from pipeline.ensemble.fast_map import Rivals

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
DISTANCES = (0.25, 0.5, 1.0)
"""How far each class may go to its own weights; the distance with the best sample mAP counts."""
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
    """What weights are fitted to: labelled videos as M members see them, under one mean."""

    mean: str
    scores: tuple[np.ndarray, ...]
    """Of each member float32 (V, C), on the mean's scale."""
    targets: np.ndarray
    """Many-hot (V, C), with a positive in every row."""
    alone: np.ndarray
    """(M, V): each member's average precision by itself."""
    videos: np.ndarray
    """(N,): positions of the videos that count."""
    errors: np.ndarray | None
    """float64 (C, M, M): of each class, the products of two members' errors, summed over these videos. Only the rule
    `per_class` asks for them."""
    search: Search
    compare: Callable[[], Rivals]
    """Makes the rivals, for the rules that search."""

    @classmethod
    def of(
        cls,
        mean: str,
        scores: Sequence[np.ndarray] | np.ndarray,
        targets: np.ndarray,
        errors: np.ndarray | None,
        search: Search,
    ) -> "Evidence":
        """What the members' scaled scores say."""
        own = tuple(scores)
        alone = np.stack([metrics.average_precision(member, targets) for member in own])
        everything = np.arange(len(targets))

        def compare() -> Rivals:
            return Rivals.among(own, targets, averaging.LEVEL[mean])

        return cls(mean, own, targets, alone, everything, errors, search, compare)

    def of_videos(self, chosen: np.ndarray, errors: np.ndarray | None) -> "Evidence":
        """What is seen of some of all videos, a mask (V,), whose `errors` these are."""
        assert len(self.videos) == len(self.targets)
        videos = np.flatnonzero(chosen)
        return replace(self, videos=videos, errors=errors, compare=lambda: self.rivals.of_videos(chosen))

    def of_members(self, chosen: Sequence[int]) -> "Evidence":
        """What some members see."""
        scores, alone = tuple(self.scores[i] for i in chosen), self.alone[chosen]
        errors = None if self.errors is None else self.errors[:, chosen][:, :, chosen]
        return replace(self, scores=scores, alone=alone, errors=errors, compare=lambda: self.rivals.of_members(chosen))

    @cached_property
    def rivals(self) -> Rivals:
        """The classes on which the members disagree."""
        return self.compare()

    @property
    def single(self) -> np.ndarray:
        """All weight on the member that is best by itself."""
        return np.eye(len(self.scores))[int(np.argmax(self.alone[:, self.videos].mean(axis=1)))]

    @property
    def uniform(self) -> np.ndarray:
        """The same weight for all."""
        return np.full(len(self.scores), 1 / len(self.scores))

    @cached_property
    def fitted(self) -> np.ndarray:
        """The fitted weights (M,), of which `per_class` starts too."""
        return fit(self)

    def precision(self, weights: np.ndarray) -> np.ndarray:
        """Average precision (N,), 0..1, of the weighted mean."""
        fused = averaging.fuse(self.scores, weights, self.mean, self.videos)
        return metrics.average_precision(fused, self.targets[self.videos])

    def best_of(self, candidates: Sequence[np.ndarray]) -> np.ndarray:
        """The first of the best candidates, by what they come to when they are fused."""
        return candidates[int(np.argmax([self.precision(weights).mean() for weights in candidates]))]


def find(rule: str, evidence: Evidence, near: np.ndarray | None = None) -> np.ndarray:
    """The weights of a rule. What a rule searches for is never worse than the best member on these videos.

    With `near` (M,) the rules `fitted` and `per_class` search from these weights alone, as `fit` does.
    """
    if rule == "uniform" or len(evidence.scores) == 1:
        return evidence.uniform
    if rule == "single":
        return evidence.single
    if rule == "greedy":
        return evidence.best_of([evidence.single, greedy(evidence.rivals)])
    fitted = evidence.fitted if near is None else fit(evidence, near)
    return fitted if rule == "fitted" else apart(evidence, fitted)


def fit(evidence: Evidence, near: np.ndarray | None = None) -> np.ndarray:
    """Weights (M,) on the simplex that maximise the sample mAP: coordinate ascent, from coarse to fine.

    It starts from the uniform weights, the best member and random weights, or else from `near` (M,) alone. On the
    videos that it is fitted to it is never worse than the uniform weights and the best member, or `near`.
    """
    rivals, search = evidence.rivals, evidence.search
    rng = np.random.default_rng(search.seed)
    few = rivals.of_videos(rng.permutation(len(rivals.positives)) < COARSE)
    known = [evidence.uniform, evidence.single] if near is None else [near]
    drawn = rng.dirichlet(np.ones(len(rivals.margins)), size=search.starts if near is None else 0)
    coarse = sorted((ascend(few, start, STEPS[: FINE + 1]) for start in [*known, *drawn]), key=lambda found: -found[0])
    return evidence.best_of([*known, *(refine(rivals, weights) for _, weights in coarse[:POLISHED])])


def ascend(rivals: Rivals, start: np.ndarray, steps: Sequence[float]) -> tuple[float, np.ndarray]:
    """Coordinate ascent of the sample mAP from weights (M,): the figure in percent, and the weights.

    A move gives one member a share of the whole weight or takes it away, the others keeping their proportions. A sweep
    makes every move that gains; the share is halved when a sweep gains nothing.
    """
    weights, fused = start, rivals.fuse(start)
    best = rivals.sample_map(fused)
    for step in steps:
        gained = True
        while gained:
            gained = False
            for member, margins in enumerate(rivals.margins):
                towards, bar = margins - fused, -(fused + np.float32(rivals.level))
                for share in _shares(weights[member], step):
                    score = rivals.sample_map_where(np.float32(share) * towards >= bar)
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
        bar = -(total + np.float32(rivals.level))
        scores = [rivals.sample_map_where(margins >= bar) for margins in rivals.margins]
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


def apart(evidence: Evidence, centre: np.ndarray) -> np.ndarray:
    """Weights (M, C) on the way from the `centre` (M,) to those that each class has by itself (`per_class`).

    The squared errors that those minimise are not the sample mAP, and may even lead away from it. How far to go is
    decided by the sample mAP, so on these videos the result is never worse than the centre.
    """
    assert evidence.errors is not None
    start = np.repeat(centre[:, None], len(evidence.errors), axis=1)
    way = per_class(evidence.errors, centre, evidence.search.shrinkage) - start
    return evidence.best_of([start, *(start + distance * way for distance in DISTANCES)])


def per_class(errors: np.ndarray, centre: np.ndarray, shrinkage: float) -> np.ndarray:
    """Weights (M, C): each class' on the simplex, where w'Ew + shrinkage * |w - centre|^2 / 2 is least.

    With weights that sum to one, w'Ew is the squared error of the class' mean probability, which grows with its
    videos: a class that is seldom seen stays near the `centre` (M,). Found by projected gradient descent.
    """
    bound = 2 * np.trace(errors, axis1=1, axis2=2) + shrinkage  # of the curvature
    rate = 1 / np.maximum(bound, np.finfo(bound.dtype).tiny)[:, None]
    weights = np.tile(centre, (len(errors), 1))
    for _ in range(_DESCENTS):
        gradient = 2 * np.einsum("cmn,cn->cm", errors, weights) + shrinkage * (weights - centre)
        weights = _on_simplex(weights - rate * gradient)
    return weights.T


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
