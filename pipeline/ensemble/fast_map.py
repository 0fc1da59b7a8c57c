"""Sample mAP of weighted means of several models' scores, fast enough to try hundreds of weights a second.

A video's average precision follows from the rank of each of its positives: how many classes score at least as high.
With weights on the simplex most of that is known beforehand. A class that every member scores at least as high as a
positive stays at least as high in the mean, and one that every member scores lower stays lower. What is left are the
contested classes, which the members order differently. For each of them its margin is kept: its score less the
positive's, in every member. It ranks at least as high as the positive where the weighted mean of the margins is not
negative.

Means of ranks often tie, and rounding must not decide those ties: a weighted mean of margins that is negative by no
more than the `tie_tolerance` counts as zero.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline import metrics

_BLOCK = 1 << 20
"""Scores of one member that are compared at a time, which bounds the memory."""


@dataclass(frozen=True)
class RankMargins:
    """Margins of the contested classes of every positive: P pairs of a positive and a class, N positives, V videos.

    Pairs are in the order of their positives, and positives in the order of their videos.
    """

    margins: tuple[np.ndarray, ...]
    """Margins in each of M members, the contested class' score less the positive's: float32 (P,)."""
    counts: np.ndarray
    """Number of contested classes of each positive: int64 (N,)."""
    base_ranks: np.ndarray
    """Number of classes that rank at least as high as each positive under any weights, itself included: int64 (N,)."""
    positives: np.ndarray
    """Number of positives of each video: int64 (V,)."""
    tie_tolerance: float
    """Amount by which a weighted mean of margins may be negative and still count as zero."""

    @classmethod
    def from_scores(
        cls,
        scores: Sequence[np.ndarray] | np.ndarray,
        targets: np.ndarray,
        tie_tolerance: float = 0.0,
        sees: np.ndarray | None = None,
    ) -> "RankMargins":
        """Compare members' finite scores (M, V, C), given many-hot targets (V, C) with a positive in some row.

        A class whose target is below 0 is not known to be in the video or not, and is contested by none of its labels.
        `sees` is which members see which videos, bool (M, V), at least one each; None where every member sees all.
        """
        video, label = np.nonzero(targets > 0)
        step = max(1, _BLOCK // targets.shape[1])
        blocks = [slice(start, start + step) for start in range(0, len(video), step)]
        compared = (_compare(scores, targets, video[b], label[b], tie_tolerance, sees) for b in blocks)
        margins, counts, base_ranks = zip(*compared, strict=True)
        by_member = tuple(np.concatenate(parts) for parts in zip(*margins, strict=True))
        positives = np.bincount(video, minlength=len(targets))
        left = tie_tolerance if sees is None else 0.0  # which margins have in them already
        return cls(by_member, np.concatenate(counts), np.concatenate(base_ranks), positives, left)

    def select_videos(self, chosen: np.ndarray) -> "RankMargins":
        """Keep the videos of a mask, bool (V,)."""
        kept = np.repeat(chosen, self.positives)
        margins = self._select_pairs(np.repeat(kept, self.counts))
        return replace(
            self,
            margins=margins,
            counts=self.counts[kept],
            base_ranks=self.base_ranks[kept],
            positives=self.positives[chosen],
        )

    def select_members(self, chosen: Sequence[int]) -> "RankMargins":
        """Keep the members at these positions, in this order; what all members agree on, some of them do too."""
        return replace(self, margins=tuple(self.margins[i] for i in chosen))

    def near(self, weights: np.ndarray, radius: float) -> "RankMargins":
        """Keep the pairs whose order may change for weights within `radius` of `weights` (M,); the others are settled.

        The distance of two sets of weights is half the sum of their absolute differences. Weight that moves from one
        member to another changes a mean margin by no more than the members' margins differ.
        """
        fused = self.fuse(weights)
        spread = functools.reduce(np.maximum, self.margins) - functools.reduce(np.minimum, self.margins)
        undecided = np.abs(fused) <= radius * spread + self.tie_tolerance
        base_ranks = self.base_ranks + self._count(~undecided & (fused >= 0))
        return replace(
            self, margins=self._select_pairs(undecided), counts=self._count(undecided), base_ranks=base_ranks
        )

    def fuse(self, weights: np.ndarray) -> np.ndarray:
        """Weighted means of the margins (P,), for weights (M,); summed member by member: the same for any threads."""
        fused = np.zeros_like(self.margins[0])
        for weight, margins in zip(weights.astype(np.float32), self.margins, strict=True):
            if weight:
                fused += weight * margins
        return fused

    def average_precision(self, fused: np.ndarray) -> np.ndarray:
        """Average precision of each video, 0..1, float64 (V,), from weighted means of the margins (P,)."""
        return self._precision(fused >= -self.tie_tolerance)

    def sample_map(self, fused: np.ndarray) -> float:
        """Sample mAP in percent, from weighted means of the margins (P,)."""
        return 100 * float(self.average_precision(fused).mean())

    def sample_map_where(self, above: np.ndarray) -> float:
        """Sample mAP in percent, from which contested classes rank at least as high as their positive: bool (P,)."""
        return 100 * float(self._precision(above).mean())

    def _precision(self, above: np.ndarray) -> np.ndarray:
        return metrics.precision_at_ranks(self.base_ranks + self._count(above), self.positives)

    def _select_pairs(self, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
        places = np.flatnonzero(chosen)  # found once, not once a member
        return tuple(margins[places] for margins in self.margins)

    def _count(self, chosen: np.ndarray) -> np.ndarray:
        """Number of chosen pairs of each positive: bool (P,) -> int64 (N,)."""
        found = np.zeros(len(self.counts), dtype=np.int64)
        contested = self.counts > 0
        if contested.any():
            counts = self.counts[contested]
            found[contested] = np.add.reduceat(chosen.view(np.uint8), np.cumsum(counts) - counts, dtype=np.uint32)
        return found


def _compare(
    scores: Sequence[np.ndarray] | np.ndarray,
    targets: np.ndarray,
    video: np.ndarray,
    label: np.ndarray,
    tie_tolerance: float,
    sees: np.ndarray | None,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The first three fields of `RankMargins`, for the positives at (`video`, `label`)."""
    above = np.zeros((len(video), scores[0].shape[1]), dtype=np.uint32)
    looks = np.ones((len(scores), len(video), 1), bool) if sees is None else sees[:, video, None]
    own = [member[video, label][:, None] for member in scores]
    for member, score, look in zip(scores, own, looks, strict=True):
        above += (member[video] >= score) & look
    above[targets[video] < 0] = 0
    looking = looks.sum(axis=0)
    contested = (above > 0) & (above < looking)
    margins = [(member[video] - score)[contested].astype(np.float32) for member, score in zip(scores, own, strict=True)]
    if sees is not None:
        pairs = np.nonzero(contested)[0]
        shift = np.float32(tie_tolerance)
        margins = [np.where(look[pairs, 0], each + shift, 0) for each, look in zip(margins, looks, strict=True)]
    return margins, contested.sum(axis=1), (above == looking).sum(axis=1)
