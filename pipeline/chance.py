"""Chance: the headline metric of answers that come from nowhere. Arrays of scores and labels in, percent out.

Random answers rank the classes of each video anew, at random. Shuffled answers are a model's own, dealt out to the
videos at random: they keep which classes it prefers, and lose what it saw. Scores that tie, as all of a constant answer
do and many of the class prior, are in random order here; `metrics` takes them as one threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline import metrics
from pipeline.core.task import SINGLE_LABEL, Task

CLEAR = 4
"""Standard deviations above the mean of chance from which a figure is clear of it. It is far more than the 2 of a 95 %
interval, as the best of several models and epochs is looked at: of 100 figures at chance, one lies 2.3 above."""
_DRAWS = 2000
_SHUFFLES = 500
_LEAST_SHUFFLES = 20
_MOST_SHUFFLED = 2_000_000_000
"""Scores that are ranked anew for the shuffles of one model; where labels are not known, each shuffle has to."""
_RANKINGS = 10_000
"""Random rankings that are drawn for each number of labels among so many classes."""
_ROWS = 1000
"""Videos whose ranks or ties are looked at together, which bounds the memory."""


@dataclass(frozen=True)
class Chance:
    """A split's headline metric by chance, in percent: mean, 95 % interval and standard deviation over draws."""

    mean: float
    low: float
    high: float
    deviation: float

    @property
    def clear(self) -> float:
        """Figure in percent above which luck is no explanation."""
        return max(self.high, self.mean + CLEAR * self.deviation)

    @classmethod
    def of_draws(cls, figures: Sequence[float] | np.ndarray) -> "Chance":
        """Summary of drawn figures in percent."""
        low, high = np.percentile(figures, [2.5, 97.5])
        return cls(float(np.mean(figures)), float(low), float(high), float(np.std(figures)))


def random_answers(task: Task, targets: np.ndarray) -> Chance:
    """Chance for random answers, from many-hot labels (V, C); the mean is exact."""
    exact = 100 * float(expected_per_video(task, np.zeros(targets.shape), targets).mean())
    drawn = Chance.of_draws(100 * _draws(task, targets))
    return replace(drawn, mean=exact)


def shuffled_answers(task: Task, scores: np.ndarray, targets: np.ndarray) -> Chance:
    """Chance for a model's own answers, dealt out to the videos at random; scores and labels are (V, C)."""
    rng, shuffles = np.random.default_rng(0), _SHUFFLES
    if unknown := bool((targets < 0).any()):
        shuffles = int(np.clip(_MOST_SHUFFLED // scores.size, _LEAST_SHUFFLES, _SHUFFLES))
    orders = (rng.permutation(len(scores)) for _ in range(shuffles))
    if unknown:  # a class that counts for one video may not for the next, so no rank can be kept
        return Chance.of_draws([metrics.sample_map(scores[order], targets) for order in orders])
    if task == SINGLE_LABEL:
        answer, label = scores.argmax(axis=1), targets.argmax(axis=1)
        return Chance.of_draws([100 * float((answer[order] == label).mean()) for order in orders])
    video, label = np.nonzero(targets > 0)
    count, ranks = np.bincount(video, minlength=len(targets)), _ranks(scores)
    dealt = (metrics.precision_at_ranks(ranks[order[video], label], count) for order in orders)
    return Chance.of_draws([100 * float(precision.mean()) for precision in dealt])


def _ranks(scores: np.ndarray) -> np.ndarray:
    """How many scores of its row are at least as high as each score, its own included: int32, the shape of scores."""
    found = np.empty(scores.shape, np.int32)
    for start in range(0, len(scores), _ROWS):
        block = scores[start : start + _ROWS]
        row = np.repeat(np.arange(len(block)), block.shape[1])
        found[start : start + _ROWS] = metrics.ranks(np.sort(block, axis=1), row, block.ravel()).reshape(block.shape)
    return found


def expected_per_video(task: Task, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The share of each video in the headline metric, 0..1, in expectation over random orders of scores that tie.

    Scores and many-hot labels are (V, C); the result is float64 (V,). Without ties it is `metrics.per_video`.
    """
    if task == SINGLE_LABEL:
        top = scores == scores.max(axis=1, keepdims=True)
        share: np.ndarray = (top & (targets > 0)).sum(axis=1) / top.sum(axis=1)
        return share
    blocks = (slice(start, start + _ROWS) for start in range(0, len(scores), _ROWS))
    parts = ((metrics.known_scores(scores[block], targets[block]), targets[block] > 0) for block in blocks)
    return np.concatenate([_expected_precision(*part) for part in parts])


def _draws(task: Task, targets: np.ndarray) -> np.ndarray:
    """Headline metric, 0..1, of random answers for all videos, drawn anew each time: float64 (_DRAWS,)."""
    rng, (videos, classes) = np.random.default_rng(0), targets.shape
    if task == SINGLE_LABEL:
        right: np.ndarray = rng.binomial(videos, 1 / classes, size=_DRAWS) / videos
        return right
    total: np.ndarray = np.zeros(_DRAWS)
    kinds = np.stack([(targets >= 0).sum(axis=1), (targets > 0).sum(axis=1)], axis=1)
    for (known, labels), alike in zip(*np.unique(kinds, axis=0, return_counts=True), strict=True):
        blocks = [_lowest(rng.random((min(_ROWS, _RANKINGS - at), known)), labels) for at in range(0, _RANKINGS, _ROWS)]
        ranks = 1 + np.concatenate(blocks)
        precision = metrics.precision_at_ranks(ranks.ravel(), np.full(_RANKINGS, labels))
        total += [precision[rng.integers(_RANKINGS, size=alike)].sum() / videos for _ in range(_DRAWS)]
    return total


def _lowest(values: np.ndarray, many: int) -> np.ndarray:
    """The columns of the `many` lowest values of each row (R, N), lowest first: int (R, many)."""
    some = np.argpartition(values, many - 1, axis=1)[:, :many]
    inside = np.argsort(np.take_along_axis(values, some, axis=1), axis=1)
    lowest: np.ndarray = np.take_along_axis(some, inside, axis=1)
    return lowest


def _expected_precision(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Expected average precision of each row, 0..1, where the order within each group of tied scores is random.

    In a group of n scores with m positives, each place holds a positive with probability m / n. Those that lie before
    the j-th place of the group are then (m - 1) / (n - 1) * (j - 1) on average, and all those of the groups before.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered, found = (np.take_along_axis(array, order, axis=1) for array in (scores, positive))
    place = np.arange(scores.shape[1])
    new = np.pad(ordered[:, 1:] != ordered[:, :-1], ((0, 0), (1, 1)), constant_values=True)
    start = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
    end = np.minimum.accumulate(np.where(new[:, 1:], place + 1, len(place))[:, ::-1], axis=1)[:, ::-1]
    total = np.pad(found.cumsum(axis=1), ((0, 0), (1, 0)))
    before = np.take_along_axis(total, start, axis=1)
    inside, size = np.take_along_axis(total, end, axis=1) - before, end - start
    above = before + (inside - 1) * (place - start) / np.maximum(size - 1, 1)
    gained, wanted = (inside / size * (1 + above) / (place + 1)).sum(axis=1), positive.sum(axis=1)
    precision: np.ndarray = np.where(wanted > 0, gained / np.maximum(wanted, 1), 1.0)
    return precision
