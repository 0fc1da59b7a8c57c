"""Members that do not see every video, as one that listens does not see a video without sound.

Such a member is left out of the video, and the weights of the others are divided by their sum; where every class has
its own weights, class by class. Where none of the others has any weight, those that see the video count alike. Where
no member sees it, all hold the class prior and keep their weights, as for a broken video.

`sees` is bool (M, V) for M members and V videos, or None where every member sees all.
"""

from collections.abc import Iterator

import numpy as np


def renormalised(weights: np.ndarray, sees: np.ndarray) -> np.ndarray:
    """Weights of the members that see a video, which sum to one.

    Args:
        weights: member weights (M,), or (M, C) where every class has its own.
        sees: which members see the video: bool (M,).
    """
    if sees.all() or not sees.any():
        return weights
    column = sees.reshape(-1, *[1] * (weights.ndim - 1))
    left = weights * column
    total = left.sum(axis=0)
    shares: np.ndarray = np.where(total > 0, left / np.where(total > 0, total, 1), column / sees.sum())
    return shares


def alike(sees: np.ndarray | None, videos: np.ndarray) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
    """The videos by who sees them: pairs of which members do, bool (M,), and places (N,) in `videos`.

    Args:
        videos: positions of the videos that are asked for.
    """
    if sees is None:
        yield None, np.arange(len(videos))
        return
    patterns, kind = np.unique(sees[:, videos], axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        yield pattern, np.flatnonzero(kind.reshape(-1) == number)


def filled(probabilities: np.ndarray, sees: np.ndarray | None) -> np.ndarray:
    """Members' probabilities (M, V, C), where one that does not see a video answers like the mean of those that do.

    So its weight, whatever it is, speaks there for the others. Where no member sees a video, nothing is changed.
    """
    if sees is None:
        return probabilities
    found = probabilities.copy()
    for video in np.flatnonzero(~sees.all(axis=0) & sees.any(axis=0)):
        inside = sees[:, video]
        found[~inside, video] = probabilities[inside, video].mean(axis=0)
    return found
