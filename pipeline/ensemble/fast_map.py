"""The sample mAP of weighted means of members, for hundreds of weights a second.

A video's average precision follows from the rank of each of its positives: how many classes score at least as high.
With weights on the simplex most of that is known beforehand: a class that every member puts above a positive stays
above it, and one that every member puts below stays below. What is left are the positive's rivals, the classes on which
members disagree. Each is kept as its margin over the positive in every member's scores; it counts where the weighted
mean of its margins is not negative.

A mean of ranks is level with the positive much more often than chance would have it, and rounding must not decide
then: a rival counts from a `level` below.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline import metrics

_BLOCK = 1 << 20
"""Scores of one member that are compared at a time, which bounds the memory."""


@dataclass(frozen=True)
class Rivals:
    """The P pairs of a positive and a rival, by positive, of the N positives of V videos, by video."""

    margins: tuple[np.ndarray, ...]
    """Of each of M members float32 (P,): the rival's score less the positive's."""
    counts: np.ndarray
    """int64 (N,): rivals of each positive."""
    certain: np.ndarray
    """int64 (N,): classes that are at least level with the positive under any weights, itself included."""
    positives: np.ndarray
    """int64 (V,): of each video, at least one."""
    level: float
    """Margins of the weighted mean that are no lower than minus this count as level."""

    @classmethod
    def among(cls, scores: Sequence[np.ndarray] | np.ndarray, targets: np.ndarray, level: float = 0.0) -> "Rivals":
        """Of the members' finite scores (M, V, C), for many-hot targets (V, C) with a positive in every row."""
        video, label = np.nonzero(targets > 0)
        step = max(1, _BLOCK // targets.shape[1])
        blocks = [slice(start, start + step) for start in range(0, len(video), step)]
        margins, counts, certain = zip(*(_compare(scores, video[b], label[b]) for b in blocks), strict=True)
        by_member = tuple(np.concatenate(parts) for parts in zip(*margins, strict=True))
        return cls(by_member, np.concatenate(counts), np.concatenate(certain), np.bincount(video), level)

    def of_videos(self, chosen: np.ndarray) -> "Rivals":
        """Those of some videos: a mask (V,)."""
        kept = np.repeat(chosen, self.positives)
        margins = self._only(np.repeat(kept, self.counts))
        return Rivals(margins, self.counts[kept], self.certain[kept], self.positives[chosen], self.level)

    def of_members(self, chosen: Sequence[int]) -> "Rivals":
        """Those of some members, in the order given: what all members agree on, these do."""
        return replace(self, margins=tuple(self.margins[i] for i in chosen))

    def near(self, weights: np.ndarray, radius: float) -> "Rivals":
        """Those that weights within `radius` of `weights` (M,) can turn; the distance is half the sum of differences.

        Weight that goes from one member to another changes a margin by no more than the members' margins differ.
        """
        fused = self.fuse(weights)
        spread = functools.reduce(np.maximum, self.margins) - functools.reduce(np.minimum, self.margins)
        turning = np.abs(fused) <= radius * spread + self.level
        certain = self.certain + self._count(~turning & (fused >= 0))
        return Rivals(self._only(turning), self._count(turning), certain, self.positives, self.level)

    def fuse(self, weights: np.ndarray) -> np.ndarray:
        """Margins (P,) of the mean with `weights` (M,); summed member by member, so that no thread count shows."""
        fused = np.zeros_like(self.margins[0])
        for weight, margins in zip(weights.astype(np.float32), self.margins, strict=True):
            if weight:
                fused += weight * margins
        return fused

    def average_precision(self, fused: np.ndarray) -> np.ndarray:
        """Average precision of each video (V,), 0..1, from the margins (P,) of a mean."""
        return self._precision(fused >= -self.level)

    def sample_map(self, fused: np.ndarray) -> float:
        """Sample mAP in percent, likewise."""
        return 100 * float(self.average_precision(fused).mean())

    def sample_map_where(self, above: np.ndarray) -> float:
        """Sample mAP in percent of a mean that puts these rivals at least level with their positives: bool (P,)."""
        return 100 * float(self._precision(above).mean())

    def _precision(self, above: np.ndarray) -> np.ndarray:
        return metrics.precision_at_ranks(self.certain + self._count(above), self.positives)

    def _only(self, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
        places = np.flatnonzero(chosen)  # found once, not once a member
        return tuple(margins[places] for margins in self.margins)

    def _count(self, chosen: np.ndarray) -> np.ndarray:
        """How many of each positive's rivals are chosen: bool (P,) -> (N,)."""
        found = np.zeros(len(self.counts), dtype=np.int64)
        contested = self.counts > 0
        if contested.any():
            counts = self.counts[contested]
            found[contested] = np.add.reduceat(chosen.view(np.uint8), np.cumsum(counts) - counts, dtype=np.uint32)
        return found


def _compare(
    scores: Sequence[np.ndarray] | np.ndarray, video: np.ndarray, label: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Margins, counts and certain of some positives."""
    above = np.zeros((len(video), scores[0].shape[1]), dtype=np.uint32)
    own = [member[video, label][:, None] for member in scores]
    for member, bar in zip(scores, own, strict=True):
        above += member[video] >= bar
    rival = (above > 0) & (above < len(scores))
    margins = [(member[video] - bar)[rival].astype(np.float32) for member, bar in zip(scores, own, strict=True)]
    return margins, rival.sum(axis=1), (above == len(scores)).sum(axis=1)
