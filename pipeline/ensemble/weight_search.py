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
from pipeline.ensemble import averaging, least_squares, margin_search
from pipeline.ensemble import log_loss as log_losses
from pipeline.ensemble.fast_map import RankMargins

RULES = ("uniform", "single", "fitted", "greedy", "per_class")
SINGLE_LABEL_RULES = RULES[:4]
COARSE_VIDEOS = 1000
"""Videos on which all starts of the search are tried; the best of them go on with all videos."""
FINALISTS = 2
"""Starts that go on with all videos."""
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
    """Headline metric of each member by itself on each video, 0..1, of its prior where it does not see the video:
    float64 (M, V)."""
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
    sees: np.ndarray | None = None
    """Which members see which videos, bool (M, V); see unseen.py. None where every member sees all."""

    @classmethod
    def from_scores(
        cls,
        mean: str,
        scores: Sequence[np.ndarray] | np.ndarray,
        targets: np.ndarray,
        error_products: np.ndarray | None,
        settings: SearchSettings,
        task: Task = MULTI_LABEL,
        sees: np.ndarray | None = None,
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
            return RankMargins.from_scores(members, targets, averaging.TIE_TOLERANCE[mean], sees)

        return cls(
            mean, members, targets, member_metric, member_loss, videos, error_products, settings, make_margins, task,
            sees,
        )  # fmt: skip

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
            sees=None if self.sees is None else self.sees[chosen],
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
        return averaging.fuse(self.scores, weights, self.mean, self.task, self.videos, self.sees)

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
        found = margin_search.greedy(data.margins) if data.task == MULTI_LABEL else greedy_by_quality(data)
        return data.best_of([data.single, found])
    fitted = data.fitted if start is None else fit(data, start)
    return fitted if rule == "fitted" else per_class(data, fitted)


def fit(data: FitData, start: np.ndarray | None = None) -> np.ndarray:
    """Member weights (M,) on the simplex that maximise the sample mAP: coordinate ascent, from coarse to fine.

    The search starts from the uniform weights, the best member and random weights, or else from `start` (M,) alone. On
    the videos that it is fitted to, the result is never worse than the uniform weights and the best member, or `start`.
    """
    if data.task == SINGLE_LABEL:
        sees = None if data.sees is None else data.sees[:, data.videos]
        own = [member[data.videos] for member in data.scores]
        least = log_losses.fit(own, data.targets[data.videos], data.mean, sees)
        return data.best_of([least, data.uniform, data.single])
    margins, settings = data.margins, data.settings
    rng = np.random.default_rng(settings.seed)
    some = margins.select_videos(rng.permutation(len(margins.positives)) < COARSE_VIDEOS)
    known = [data.uniform, data.single] if start is None else [start]
    drawn = rng.dirichlet(np.ones(len(margins.margins)), size=settings.starts if start is None else 0)
    coarse = [margin_search.coordinate_ascent(some, weights, margin_search.COARSE) for weights in [*known, *drawn]]
    finalists = sorted(coarse, key=lambda found: -found[0])[:FINALISTS]
    return data.best_of([*known, *(margin_search.refine(margins, weights) for _, weights in finalists)])


def greedy_by_quality(data: FitData) -> np.ndarray:
    """Member weights (M,) as `margin_search.greedy` finds them, by `FitData.quality`."""
    found = [data.single]
    for round_ in range(1, margin_search.GREEDY_ROUNDS):
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
