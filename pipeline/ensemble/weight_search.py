"""Search for member weights: rules from the simplest to the most flexible.

    uniform     1 / M each
    single      all weight on the member that is best by itself
    fitted      the point of the simplex with the best sample mAP that coordinate ascent finds
    greedy      members are added one by one, with repetition, each time the one that helps most
    per_class   fitted weights that each class may leave, as far as its own errors justify it

Member weights are not negative and sum to one: an array (M,), or (M, C) where every class has its own. The only chance
is that of the seed, and no linear algebra is used that rounds differently on more threads: the same data give the same
bytes.

With one label a video, `fitted` has the least log loss (log_loss.py), top-1 accuracy stands for sample mAP with ties in
it to the lower log loss, and there is no `per_class`: classes that share a sum of one cannot part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline import metrics
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task
from pipeline.ensemble import averaging, least_squares
from pipeline.ensemble import log_loss as log_losses
from pipeline.ensemble.fast_map import RankMargins

RULES = ("uniform", "single", "fitted", "greedy", "per_class")
SINGLE_LABEL_RULES = RULES[:4]
COARSE_VIDEOS = 1000
"""Videos on which all starts of the search are tried; the best of them go on with all videos."""
FINALISTS = 2
"""Starts that go on with all videos."""
STEPS = (0.32, 0.16, 0.08, 0.04, 0.02, 0.01)
"""Shares of the whole weight that a move gives to a member or takes from it, from coarse to fine."""
FINE = 3
"""Position in `STEPS` at which the coarse search ends and the fine search begins."""
RADIUS = 0.1
"""Distance (half the sum of absolute differences) within which the fine search knows which pairs may change order."""
MAX_REFINEMENTS = 5
"""Times that the fine search may leave that radius and begin anew from where it is."""
MIN_GAIN = 5e-3
"""Gain in percent points of sample mAP below which a move is not made."""
GREEDY_ROUNDS = 16
"""Members that the greedy rule adds, repetitions included; it keeps the best prefix."""
CLASS_FRACTIONS = (0.25, 0.5, 1.0)
"""Fractions of the way to each class' own weights that are tried; the one with the best sample mAP is used."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of the search, from the section `ensemble` of params.yaml."""

    seed: int
    starts: int
    """Random starts of the rule `fitted`, beside the uniform weights and the best member."""
    shrinkage: float
    """Strength with which the rule `per_class` holds a class near the weights of all classes, in videos."""


@dataclass(frozen=True)
class FitData:
    """Data to which member weights are fitted: M members' scores of V labelled videos, of which N count."""

    mean: str
    scores: tuple[np.ndarray, ...]
    """Scores of each member on the scale of the mean: M arrays float32 (V, C)."""
    targets: np.ndarray
    """Many-hot labels (V, C)."""
    member_metric: np.ndarray
    """Headline metric of each member by itself on each video, 0..1: float64 (M, V)."""
    member_loss: np.ndarray
    """Log loss of each member on each video, float64 (M, V); zero where videos have several labels."""
    videos: np.ndarray
    """Positions of the videos that count: int (N,)."""
    error_products: np.ndarray | None
    """Products of two members' errors in each class, summed over the videos that count: float64 (C, M, M). Only the
    rule `per_class` needs them."""
    settings: SearchSettings
    make_margins: Callable[[], RankMargins]
    """Makes `margins`, which only the rules that search need."""
    task: Task = MULTI_LABEL

    @classmethod
    def from_scores(
        cls,
        mean: str,
        scores: Sequence[np.ndarray] | np.ndarray,
        targets: np.ndarray,
        error_products: np.ndarray | None,
        settings: SearchSettings,
        task: Task = MULTI_LABEL,
    ) -> "FitData":
        """Data of all videos, from members' scaled scores (M, V, C) and many-hot targets (V, C)."""
        members = tuple(scores)
        member_metric = np.stack([metrics.per_video(task, member, targets) for member in members])
        member_loss = np.zeros_like(member_metric)
        if task == SINGLE_LABEL:
            alone = [np.exp(member) if mean == "logit" else member for member in members]
            member_loss = np.stack([log_losses.log_loss(member, targets) for member in alone])
        videos = np.arange(len(targets))

        def make_margins() -> RankMargins:
            return RankMargins.from_scores(members, targets, averaging.TIE_TOLERANCE[mean])

        return cls(
            mean, members, targets, member_metric, member_loss, videos, error_products, settings, make_margins, task
        )

    def select_videos(self, chosen: np.ndarray, error_products: np.ndarray | None) -> "FitData":
        """Keep the videos of a mask, bool (V,), whose `error_products` are given; call it on data of all videos."""
        assert len(self.videos) == len(self.targets)
        videos = np.flatnonzero(chosen)
        return replace(
            self,
            videos=videos,
            error_products=error_products,
            make_margins=lambda: self.margins.select_videos(chosen),
        )

    def select_members(self, chosen: Sequence[int]) -> "FitData":
        """Keep the members at these positions, in this order."""
        products = self.error_products
        return replace(
            self,
            scores=tuple(self.scores[i] for i in chosen),
            member_metric=self.member_metric[chosen],
            member_loss=self.member_loss[chosen],
            error_products=None if products is None else products[:, chosen][:, :, chosen],
            make_margins=lambda: self.margins.select_members(chosen),
        )

    @cached_property
    def margins(self) -> RankMargins:
        """Margins of the classes that the members order differently."""
        return self.make_margins()

    @property
    def uniform(self) -> np.ndarray:
        """Member weights (M,) of the rule `uniform`."""
        return np.full(len(self.scores), 1 / len(self.scores))

    @property
    def single(self) -> np.ndarray:
        """Member weights (M,) of the rule `single`."""
        metric, loss = (values[:, self.videos].mean(axis=1) for values in (self.member_metric, self.member_loss))
        best = max(range(len(self.scores)), key=lambda member: (metric[member], -loss[member]))
        weights: np.ndarray = np.eye(len(self.scores))[best]
        return weights

    @cached_property
    def fitted(self) -> np.ndarray:
        """Member weights (M,) of the rule `fitted`, from which `per_class` starts too."""
        return fit(self)

    def fuse(self, weights: np.ndarray) -> np.ndarray:
        """Weighted mean of the videos that count: float32 (N, C)."""
        return averaging.fuse(self.scores, weights, self.mean, self.task, self.videos)

    def per_video(self, weights: np.ndarray) -> np.ndarray:
        """Headline metric of the weighted mean on each video that counts, 0..1: float64 (N,)."""
        return metrics.per_video(self.task, self.fuse(weights), self.targets[self.videos])

    def log_loss(self, weights: np.ndarray) -> np.ndarray:
        """Log loss of the weighted mean on each video that counts, float64 (N,); zero for several labels a video."""
        if self.task == MULTI_LABEL:
            return np.zeros(len(self.videos))
        return log_losses.log_loss(self.fuse(weights), self.targets[self.videos])

    def quality(self, weights: np.ndarray) -> tuple[float, float]:
        """What weights are compared by: the headline metric, then the log loss, which is less."""
        return float(self.per_video(weights).mean()), -float(self.log_loss(weights).mean())

    def best_of(self, candidates: Sequence[np.ndarray]) -> np.ndarray:
        """Member weights with the highest `quality` among the candidates; the first of those that tie."""
        return max(candidates, key=self.quality)


def find(rule: str, data: FitData, start: np.ndarray | None = None) -> np.ndarray:
    """Member weights of a rule: (M,), or (M, C) for `per_class`.

    On the videos that it is fitted to, the result of a rule that searches is never worse than the best member. With a
    `start` (M,) the rules `fitted` and `per_class` search from these weights alone, as `fit` does.
    """
    if rule == "uniform" or len(data.scores) == 1:
        return data.uniform
    if rule == "single":
        return data.single
    if rule == "greedy":
        found = greedy(data.margins) if data.task == MULTI_LABEL else greedy_by_quality(data)
        return data.best_of([data.single, found])
    fitted = data.fitted if start is None else fit(data, start)
    return fitted if rule == "fitted" else per_class(data, fitted)


def fit(data: FitData, start: np.ndarray | None = None) -> np.ndarray:
    """Member weights (M,) on the simplex that maximise the sample mAP: coordinate ascent, from coarse to fine.

    The search starts from the uniform weights, the best member and random weights, or else from `start` (M,) alone. On
    the videos that it is fitted to, the result is never worse than the uniform weights and the best member, or `start`.
    """
    if data.task == SINGLE_LABEL:
        least = log_losses.fit([member[data.videos] for member in data.scores], data.targets[data.videos], data.mean)
        return data.best_of([least, data.uniform, data.single])
    margins, settings = data.margins, data.settings
    rng = np.random.default_rng(settings.seed)
    some = margins.select_videos(rng.permutation(len(margins.positives)) < COARSE_VIDEOS)
    known = [data.uniform, data.single] if start is None else [start]
    drawn = rng.dirichlet(np.ones(len(margins.margins)), size=settings.starts if start is None else 0)
    coarse = [coordinate_ascent(some, weights, STEPS[: FINE + 1]) for weights in [*known, *drawn]]
    finalists = sorted(coarse, key=lambda found: -found[0])[:FINALISTS]
    return data.best_of([*known, *(refine(margins, weights) for _, weights in finalists)])


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
        found = coordinate_ascent(margins.near(start, RADIUS), start, STEPS[FINE:])[1]
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


def greedy_by_quality(data: FitData) -> np.ndarray:
    """Member weights (M,) as `greedy` finds them, by `FitData.quality`."""
    found = [data.single]
    for round_ in range(1, GREEDY_ROUNDS):
        found.append(data.best_of([(found[-1] * round_ + one) / (round_ + 1) for one in np.eye(len(data.scores))]))
    return data.best_of(found)


def per_class(data: FitData, centre: np.ndarray) -> np.ndarray:
    """Member weights (M, C) on the way from the `centre` (M,) to each class' own least-squares weights.

    Squared errors are not the sample mAP, and may even lead away from it. So the sample mAP decides how far to go, and
    on the videos that it is fitted to the result is never worse than the centre.
    """
    assert data.error_products is not None
    start = np.repeat(centre[:, None], len(data.error_products), axis=1)
    way = least_squares.fit(data.error_products, centre, data.settings.shrinkage) - start
    return data.best_of([start, *(start + fraction * way for fraction in CLASS_FRACTIONS)])


def _moves(weight: float, step: float) -> list[float]:
    """Shares of the whole weight that may be added to a member of this weight: up, and down to zero at most."""
    if weight == 0:
        return [step]
    return [step] if weight >= 1 else [step, -min(step, weight / (1 - weight))]
