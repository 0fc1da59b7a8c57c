"""Confusion: which class stands where a label should. Arrays in, numbers out.

Where each video has one label, that is the confusion matrix. Of a video with k labels, the k highest scores are taken
as its answer. The labels that are not among them are missed, and as many other classes stand in their place. Nobody
knows which of these replaced which label, so that each missed label is shared evenly among them; the times of all pairs
then sum to the number of labels missed. Classes of which nobody knows whether the video shows them are no answer.
"""

import numpy as np
import pandas as pd

from pipeline import metrics

_AT_ONCE = 500
"""Videos whose answers are looked at together, which bounds the memory."""


def confused_pairs(scores: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """How often a label is missed in favour of another class, from (V, C) arrays: a row a pair that is confused.

    Columns: label and instead, numbers of classes, and times. The most frequent come first, and of pairs that are as
    frequent those of the first classes. Scores that tie go to the class that comes first.

    Raises:
        ValueError: the shapes differ.
    """
    if scores.shape != targets.shape:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be of one shape (videos, classes)")
    wide = targets.shape[1]
    blocks = [slice(at, at + _AT_ONCE) for at in range(0, len(scores), _AT_ONCE)]
    parts = [_missed(scores[b], targets[b]) for b in blocks]
    pairs, shares = (
        np.concatenate([np.empty(0, kind), *(part[n] for part in parts)]) for n, kind in enumerate((int, float))
    )
    known, inverse = np.unique(pairs, return_inverse=True)
    times = np.bincount(inverse, shares, len(known)).round(9)
    order = np.argsort(-times, kind="stable")
    label, instead = np.divmod(known[order], wide)
    return pd.DataFrame({"label": label, "instead": instead, "times": times[order]})


def answered(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The answer to each video, bool (V, C): its k highest classes where it has k labels; arrays as `confused_pairs`.

    Scores that tie go to the class that comes first; a class of which nobody knows (target -1) is no answer.
    """
    count = (targets > 0).sum(axis=1)
    known = metrics.known_scores(scores, targets)
    highest = np.argsort(-known, axis=1, kind="stable")[:, : count.max(initial=0)]
    answer = np.zeros(targets.shape, dtype=bool)
    np.put_along_axis(answer, highest, np.arange(highest.shape[1]) < count[:, None], axis=1)
    return answer


def _missed(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a label that is missed and a class in its place, as label * C + class, and the share of each."""
    answer, labels, wide = answered(scores, targets), targets > 0, targets.shape[1]
    missed, instead = labels & ~answer, answer & ~labels  # as many of the one as of the other
    number = missed.sum(axis=1)
    pairs, shares = [], []
    for many in np.unique(number[number > 0]):
        rows = number == many
        label, other = (np.nonzero(table[rows])[1].reshape(-1, many) for table in (missed, instead))
        pairs.append((label[:, :, None] * wide + other[:, None, :]).ravel())
        shares.append(np.full(len(pairs[-1]), 1 / many))
    return np.concatenate([np.empty(0, int), *pairs]), np.concatenate([np.empty(0), *shares])


def confusion_matrix(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Videos of each true class (row) by the class answered (column), where each has one label: int64 (C, C).

    Scores and one-hot labels are (V, C); of classes that tie, the first is the answer.
    """
    table = np.zeros((targets.shape[1],) * 2, dtype=np.int64)
    np.add.at(table, (targets.argmax(axis=1), scores.argmax(axis=1)), 1)
    return table


def recall_and_precision(scores: np.ndarray, targets: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a class, worst recall first: class, videos, answers, recall and precision; arrays as `confusion_matrix`.

    Recall is the share of the class' videos that are answered with it, precision the share of such answers that are
    right, both in percent; NaN where there is none of them.
    """
    label, answer = targets.argmax(axis=1), scores.argmax(axis=1)
    counted = (label, answer, label[label == answer])
    videos, answers, right = (np.bincount(numbers, minlength=len(classes)) for numbers in counted)
    with np.errstate(invalid="ignore"):
        shares = {"recall": 100 * right / videos, "precision": 100 * right / answers}
    found = pd.DataFrame({"class": classes, "videos": videos, "answers": answers, **shares})
    return found.sort_values(["recall", "precision"], kind="stable").reset_index(drop=True)
