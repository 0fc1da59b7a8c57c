"""Metrics of classification, multi-label and single-label: arrays of scores and labels in, numbers out.

Sample mAP, the metric of the challenge, is the average precision of each VIDEO over the classes, averaged over videos.
A video without a label counts 1 in it, as in scikit-learn, since no order of the classes is wrong.
It is scikit-learn's label ranking average precision, `sklearn.metrics.label_ranking_average_precision_score`, times 100
(`python benchmarks/metric.py`: equal but for rounding, and about 55 times quicker here). Class mAP is the average
precision of each CLASS over the videos, averaged over classes. Average precision is the mean of the precision at each
positive; scores that tie count as one threshold.

Where each video has one label, top-1 accuracy comes first, and sample mAP is the mean reciprocal rank of the label.

Of some videos it may not be known whether they show a class: targets are then -1, and every metric of a row or column
is that of its known entries alone.
"""

from typing import Final

import numpy as np

from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task

HEADLINE: Final[dict[Task, str]] = {MULTI_LABEL: "mAP", SINGLE_LABEL: "top1"}
"""Task -> the key in `summary` of the metric that is looked at first, and that picks epochs and ensembles."""
TITLE: Final[dict[Task, str]] = {MULTI_LABEL: "sample mAP", SINGLE_LABEL: "top-1 accuracy"}
"""Task -> the name of that metric in a sentence."""
SHORT: Final[dict[Task, str]] = {MULTI_LABEL: "mAP", SINGLE_LABEL: "top-1"}
"""Task -> its name where there is little room."""

_AT_ONCE = 1000
"""Rows of which a copy is held, which bounds the memory."""


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each row, 0..1: scores (R, N) and many-hot targets (R, N) -> float64 (R,).

    A row without a positive has 1. Targets below 0 are not known, and are left out.

    Raises:
        ValueError: shapes differ, or a score is not finite.
    """
    _check_scores(scores, targets)
    row, column = np.nonzero(targets > 0)
    found = ranks(np.sort(known_scores(scores, targets), axis=1), row, scores[row, column])
    return precision_at_ranks(found, np.bincount(row, minlength=len(targets)))


def known_scores(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The scores with minus infinity where the target is not known, so that these rank below all others."""
    unknown = targets < 0
    return np.where(unknown, scores.dtype.type(-np.inf), scores) if unknown.any() else scores


def precision_at_ranks(ranks: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Average precision of each row, 0..1, float64 (R,), from the ranks of its positives; 1 where it has none.

    Args:
        ranks: of each of P positives, how many scores in its row are at least as high, its own included: int (P,);
            first those of the first row, then those of the second.
        positives: number of positives of each row: int (R,).
    """
    if not positives.all():
        with_some = positives > 0
        result = np.ones(len(positives))
        result[with_some] = precision_at_ranks(ranks, positives[with_some]) if len(ranks) else 1
        return result
    start = np.cumsum(positives) - positives
    first = np.repeat(np.arange(len(positives)) * (ranks.max(initial=0) + 1), positives)
    ordered = np.sort(first + ranks, kind="stable")  # rows stay where they are, and ascend within: hardly any to move
    position = np.arange(1, len(ranks) + 1)
    position[:-1][ordered[1:] == ordered[:-1]] = len(ranks)  # positives that tie are all found with the last of them
    found = np.minimum.accumulate(position[::-1])[::-1] - np.repeat(start, positives)
    precision: np.ndarray = np.add.reduceat(found / (ordered - first), start) / positives
    return precision


def sample_map(scores: np.ndarray, targets: np.ndarray) -> float:
    """Sample mAP in percent: the mean over videos of their average precision, the metric of the challenge.

    Scores and many-hot targets are (V, C). It is 100 times scikit-learn's `label_ranking_average_precision_score`.

    Raises:
        ValueError: as `average_precision`.
    """
    return 100 * float(average_precision(scores, targets).mean())


def class_average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class over the videos, 0..1: scores and many-hot targets (V, C) -> float64 (C,).

    A class without a positive has NaN.
    """
    present = (targets > 0).any(axis=0)
    result = np.full(targets.shape[1], np.nan)
    if present.any():
        result[present] = average_precision(scores.T[present], targets.T[present])
    return result


def class_map(scores: np.ndarray, targets: np.ndarray) -> float:
    """Class mAP in percent: the mean over the classes that have a positive, from scores and many-hot targets (V, C)."""
    return 100 * float(np.nanmean(class_average_precision(scores, targets)))


def hit_at(k: int, scores: np.ndarray, targets: np.ndarray) -> float:
    """Percent of videos with a label among their k highest scores, from scores and many-hot targets (V, C).

    Videos without a label are left out; where none has one, it is NaN. Of classes that tie, the first counts as the
    higher.
    """
    hits = _hits(k, scores, targets)[(targets > 0).any(axis=1)]
    return 100 * float(hits.mean()) if len(hits) else float("nan")


def top_k(k: int, scores: np.ndarray, targets: np.ndarray) -> float:
    """Top-k accuracy in percent: `hit_at` where each video has one label; scores and one-hot targets are (V, C).

    Raises:
        ValueError: shapes differ, a score is not finite, or a row has not exactly one positive.
    """
    _check_one_hot(scores, targets)
    return hit_at(k, scores, targets)


def mean_class_accuracy(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean class accuracy in percent: the mean over the classes that have videos of the top-1 accuracy on those.

    Scores and one-hot targets are (V, C).

    Raises:
        ValueError: as `top_k`.
    """
    _check_one_hot(scores, targets)
    label = targets.argmax(axis=1)
    right, videos = (np.bincount(label, weight) for weight in (_hits(1, scores, targets), None))
    return 100 * float((right[videos > 0] / videos[videos > 0]).mean())


def per_video(task: Task, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The share of each video in the headline metric of a task, 0..1: scores and targets (V, C) -> float64 (V,).

    It is the average precision of the video, or, where it has one label, 1 if that scores highest and else 0.

    Raises:
        ValueError: as `average_precision`, or as `top_k`.
    """
    if task == MULTI_LABEL:
        return average_precision(scores, targets)
    _check_one_hot(scores, targets)
    return _hits(1, scores, targets).astype(np.float64)


def headline(task: Task, scores: np.ndarray, targets: np.ndarray) -> float:
    """The metric that is looked at first, in percent: sample mAP, or top-1 accuracy; scores and targets are (V, C).

    Raises:
        ValueError: as `per_video`.
    """
    return 100 * float(per_video(task, scores, targets).mean())


def denominators(videos: int, broken: int, unseen: int = 0) -> dict[str, int]:
    """Numbers of videos: n_expected, n_scored and n_broken; and n_unseen, where the model cannot see some of them."""
    counts = {"n_expected": videos, "n_scored": videos - broken - unseen, "n_broken": broken}
    return {**counts, "n_unseen": unseen} if unseen else counts


def summary(
    scores: np.ndarray, targets: np.ndarray, broken: int, task: Task = MULTI_LABEL, unseen: int = 0
) -> dict[str, float]:
    """All metrics of a set of predictions (V, C) in percent, the headline first, with their denominators.

    Args:
        scores: of all V videos; the row of a broken one, or of one that the model cannot see, holds the class prior.
        targets: many-hot labels (V, C), -1 where one is not known.
        broken: number of broken videos.
        task: which metrics there are.
        unseen: number of videos that the model cannot see.
    """
    counts = denominators(len(scores), broken, unseen)
    if task == SINGLE_LABEL:
        return {
            "top1": top_k(1, scores, targets),
            "top5": top_k(5, scores, targets),
            "mean_class_accuracy": mean_class_accuracy(scores, targets),
            "mAP": sample_map(scores, targets),
            **counts,
        }
    return {
        "mAP": sample_map(scores, targets),
        "class_mAP": class_map(scores, targets),
        "hit_at_1": hit_at(1, scores, targets),
        "hit_at_5": hit_at(5, scores, targets),
        **counts,
    }


def tells(name: str, classes: int) -> bool:
    """Whether a metric of `summary` depends on the scores: top-5 accuracy is 100 with five classes or fewer."""
    return name != "top5" or classes > 5


def _hits(k: int, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Whether each video has a label among its k highest scores, bool (V,)."""
    hits: np.ndarray = np.zeros(len(scores), dtype=bool)
    for start in range(0, len(scores), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        left, positive = known_scores(scores[block].astype(np.float64), targets[block]), targets[block] > 0
        row = np.arange(len(left))
        for _ in range(min(k, left.shape[1])):
            top = left.argmax(axis=1)  # the first of those that tie
            hits[block] |= positive[row, top]
            left[row, top] = -np.inf
    return hits


def _check_one_hot(scores: np.ndarray, targets: np.ndarray) -> None:
    """Refuse what has no accuracy."""
    _check_scores(scores, targets)
    one = (targets > 0).sum(axis=1) == 1
    if not one.all():
        raise ValueError(f"row {int(np.argmin(one))} has not exactly one positive, so it has no accuracy")


def _check_scores(scores: np.ndarray, targets: np.ndarray) -> None:
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be of one shape (rows, columns)")
    if not np.isfinite(scores).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(scores).all(axis=1)))} has a score that is not finite")


def ranks(ascending: np.ndarray, row: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Rank of each score of `own` (P,): how many in its `row` (P,) of the sorted table (R, N) are at least as high."""
    columns = ascending.shape[1]
    below = np.zeros(len(own), dtype=np.int64)
    for step in 1 << np.arange(columns.bit_length())[::-1]:
        reach = below + step
        below += step * ((reach <= columns) & (ascending[row, np.minimum(reach, columns) - 1] < own))
    rank: np.ndarray = columns - below
    return rank
