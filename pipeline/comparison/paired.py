"""Differences of two systems that answered the same videos, with intervals of the bootstrap over videos.

Each resample draws the videos once for both, so that what is hard for both cancels out. The seeds of a system are
averaged first: an interval tells how far other videos would move the difference, and not how far other seeds would.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.core.progress_bar import progress_bar
from pipeline.core.task import SINGLE_LABEL, Task
from pipeline.ensemble import bootstrap

RESAMPLES = 1000
SEED = 0
FEWEST = 5
"""Videos of a class below which its interval would say nothing."""


@dataclass(frozen=True)
class Difference:
    """The difference of two figures, in percent points, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def of_means(one: np.ndarray, other: np.ndarray) -> Difference:
    """Difference of two figures that are means over videos, `other` less `one`: shares of the videos (V,), 0..1."""
    values = 100 * (other - one)
    ((low, high),) = bootstrap.intervals(values[None], RESAMPLES, SEED)
    return Difference(float(values.mean()), float(low), float(high))


def class_figures(task: Task, scores: np.ndarray, targets: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Recall (single-label) or average precision (multi-label) of each class, 0..1, in R resamples of the videos.

    Args:
        task: which of the two.
        scores: of V videos and C classes, (V, C).
        targets: many-hot labels (V, C).
        times: how often each resample has each video, int (R, V).

    Returns:
        float64 (R, C); NaN where a resample has no video of the class.
    """
    if task == SINGLE_LABEL:
        right = targets * (scores.argmax(axis=1) == targets.argmax(axis=1))[:, None]
        with np.errstate(invalid="ignore"):
            return np.asarray((times @ right.astype(np.float64)) / (times @ targets.astype(np.float64)))
    found = np.full((len(times), scores.shape[1]), np.nan)
    by_video = np.ascontiguousarray(times.T.astype(np.min_scalar_type(times.max())))  # few bytes, and a row a video
    scores = metrics.known_scores(scores, targets)
    for column in np.flatnonzero((targets > 0).any(axis=0)):
        found[:, column] = _precision(scores[:, column], targets[:, column] > 0, by_video)
    return found


def _precision(scores: np.ndarray, positive: np.ndarray, by_video: np.ndarray) -> np.ndarray:
    """Average precision of a class, float64 (R,), from resamples (V, R); scores that tie count as one threshold."""
    order = np.argsort(-scores, kind="stable")
    falling = -scores[order]
    places = np.flatnonzero(positive[order])
    ends = np.searchsorted(falling, falling[places], side="right")  # behind those that tie with each positive
    steps, which = np.unique(ends, return_inverse=True)
    starts = np.concatenate([[0], steps[:-1]])
    above = np.cumsum(np.add.reduceat(by_video[order[: steps[-1]]], starts, axis=0, dtype=np.int64), axis=0)
    weight = by_video[order[places]].astype(np.int64)
    first = np.searchsorted(ends, steps)  # positives that end at one step stand together
    hits = np.cumsum(np.add.reduceat(weight, first, axis=0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.where(weight > 0, weight * (hits / above)[which], 0.0)
        return np.asarray(each.sum(axis=0) / weight.sum(axis=0))


def of_classes(
    task: Task, one: Sequence[np.ndarray], other: Sequence[np.ndarray], targets: np.ndarray
) -> list[Difference | None]:
    """Differences of each class' recall or average precision, in points, with simultaneous 95 % intervals.

    All intervals together hold in 95 % of repetitions, however many classes there are: their half width is a class'
    standard error times the 95 % quantile, over resamples, of the largest studentised deviation of any class (Romano,
    Wolf 2005, "Stepwise multiple testing as formalized data snooping", the single step).

    Args:
        task: which figure.
        one: scores (V, C) of each seed of the first system.
        other: the same of the other.
        targets: many-hot labels (V, C).

    Returns:
        One for each class; None where fewer than `FEWEST` videos have it.
    """
    rng, videos = np.random.default_rng(SEED), len(targets)
    judged = np.flatnonzero((targets > 0).sum(axis=0) >= FEWEST)
    found: list[Difference | None] = [None] * targets.shape[1]
    if not len(judged):
        return found
    drawn = np.stack([np.bincount(rng.integers(videos, size=videos), minlength=videos) for _ in range(RESAMPLES)])
    times = np.vstack([np.ones(videos, dtype=drawn.dtype), drawn])
    differences: np.ndarray = np.zeros((len(times), len(judged)))
    with progress_bar(total=len(one) + len(other), desc="classes", unit="run") as bar:
        for sign, seeds in ((-1, one), (1, other)):
            for scores in seeds:
                part = _judged(task, scores, targets, judged, times)
                differences += sign * 100 * part / len(seeds)
                bar.update(1)
    value, resampled = differences[0], differences[1:]
    error = np.nanstd(resampled, axis=0)
    moved = error > 0
    half = np.zeros(len(judged))
    if moved.any():
        deviation = np.nanmax(np.abs(resampled[:, moved] - value[moved]) / error[moved], axis=1)
        half[moved] = np.percentile(deviation, bootstrap.CONFIDENCE) * error[moved]
    for place, column in enumerate(judged):
        low, high = value[place] - half[place], value[place] + half[place]
        found[column] = Difference(float(value[place]), float(low), float(high))
    return found


def _judged(task: Task, scores: np.ndarray, targets: np.ndarray, judged: np.ndarray, times: np.ndarray) -> np.ndarray:
    if task == SINGLE_LABEL:  # the answer is the highest of all classes
        return class_figures(task, scores, targets, times)[:, judged]
    return class_figures(task, scores[:, judged], targets[:, judged], times)


def right(scores: Sequence[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """Whether each video's highest class is one of its labels, for most seeds: bool (V,), from scores (V, C) each."""
    row = np.arange(len(targets))
    hits = [targets[row, each.argmax(axis=1)] > 0 for each in scores]
    return np.asarray(np.mean(hits, axis=0) > 0.5)


def sign_test(gained: int, lost: int) -> float:
    """Probability of a split of the changed videos as uneven as this, or more, if each way were as likely (McNemar)."""
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**changed)) if changed else 1.0
