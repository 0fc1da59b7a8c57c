"""Iterative stratification: samples dealt to parts so that each label is spread in proportion, and groups stay whole.

The parts are the splits of a corpus, or the folds of its cross-validation. The order is that of Sechidis et al., "On
the Stratification of Multi-label Data" (ECML 2011): the rarest label first, and each of its samples goes where most
samples of that label are still wanted. With groups, such as all videos of one person, the largest of a label goes
first, and where most of all its labels are still wanted.
"""

from collections.abc import Sequence

import numpy as np

Counts = tuple[np.ndarray, np.ndarray]
"""The labels of a group, as numbers, int (K,), and its samples of each, int (K,)."""


def stratified(
    labels: Sequence[tuple[str, ...]], shares: Sequence[float], seed: int, groups: Sequence[str] | None = None
) -> list[int]:
    """The number of the part that each sample is dealt to, counted from 0.

    Where two parts want a group as much, the earlier gets it, so that a label that occurs once lies in part 0. No part
    is left empty where there are as many groups as parts.

    Args:
        labels: of each sample; may be empty.
        shares: of each part; they sum to 1.
        seed: of the order in which groups of the same size are dealt.
        groups: of each sample; samples of one group go to one part.
    """
    groups_of = range(len(labels)) if groups is None else groups
    own, sizes, member = _count(labels, groups_of)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large groups first: small ones even out what they leave
    deal = _Deal(own, sizes, np.asarray(shares))
    having = _having(own, order)
    left = np.array([len(found) for found in having], dtype=np.int64)  # groups of each label that are not dealt yet
    while (left > 0).any():
        rarest = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        for group in having[rarest]:
            if deal.part[group] < 0:
                deal.give(group, deal.wanted_of_label[rarest] if groups is None else deal.wanted_by(group))
                left[own[group][0]] -= 1
    for group in order[deal.part[order] < 0]:  # samples without a label
        deal.give(group, deal.wanted)
    return [int(part) for part in deal.part[member]]


class _Deal:
    """Groups that are dealt one by one, and what each part still wants."""

    def __init__(self, own: Sequence[Counts], sizes: np.ndarray, shares: np.ndarray) -> None:
        self.own, self.sizes = own, sizes
        self.part = np.full(len(sizes), -1)
        """The part of each group, int (G,); -1 while it is not dealt."""
        columns, counts = (np.concatenate([one[part] for one in own] or [np.empty(0, np.int64)]) for part in (0, 1))
        self.totals = np.bincount(columns, counts).astype(np.int64)
        """Samples of each label, int (L,)."""
        self.wanted_of_label = self.totals[:, None] * shares
        """Samples of each label that each part still wants, float (L, P)."""
        self.wanted = sizes.sum() * shares
        """Samples that each part still wants, float (P,)."""
        self.left = len(sizes)
        self.empty = set(range(len(shares))) if len(sizes) >= len(shares) else set()
        """The parts that lack their first group, where there is one for each."""

    def wanted_by(self, group: int) -> np.ndarray:
        """How much each part wants a group, float (P,): the sum over its labels, each by its share of that label."""
        columns, counts = self.own[group]
        need: np.ndarray = (counts / self.totals[columns]) @ self.wanted_of_label[columns]
        return need

    def give(self, group: int, need: np.ndarray) -> None:
        """Deal a group to the part whose need (P,) is the highest, and of several to that which wants most samples."""
        open_parts = self.empty if self.left <= len(self.empty) else range(len(need))
        part = max(open_parts, key=lambda p: (round(float(need[p]), 6), round(float(self.wanted[p]), 6), -p))
        self.part[group] = part
        columns, counts = self.own[group]
        self.wanted_of_label[columns, part] -= counts
        self.wanted[part] -= self.sizes[group]
        self.left -= 1
        self.empty.discard(part)


def _having(own: Sequence[Counts], order: np.ndarray) -> list[list[int]]:
    """The groups that have each label, in that order."""
    having: list[list[int]] = [
        [] for _ in range(1 + max((int(columns.max(initial=-1)) for columns, _ in own), default=-1))
    ]
    for group in order.tolist():
        for column in own[group][0].tolist():
            having[column].append(group)
    return having


def _count(
    labels: Sequence[tuple[str, ...]], groups: Sequence[str] | Sequence[int]
) -> tuple[list[Counts], np.ndarray, np.ndarray]:
    """The labels of each group, with samples of each; samples of each group, int (G,); and the group of each sample."""
    names = sorted({name for sample in labels for name in sample})
    column = {name: number for number, name in enumerate(names)}
    number: dict[str | int, int] = {}  # groups in the order in which they occur
    member = [number.setdefault(group, len(number)) for group in groups]
    found: list[list[int]] = [[] for _ in number]
    for group, sample in zip(member, labels, strict=True):
        found[group] += [column[name] for name in dict.fromkeys(sample)]
    sizes = np.bincount(member, minlength=len(number))
    own = [np.unique(np.array(columns, dtype=np.int64), return_counts=True) for columns in found]
    return own, sizes, np.array(member, dtype=np.int64)
