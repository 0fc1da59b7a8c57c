"""What is fused, and how: the section of params.yaml, the checks of the members, and their weighted mean.

The mean is that of the members' probabilities, of their logits (a geometric mean, in which a sure member counts for
more), or of their ranks (in which no member's calibration counts).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable

MEANS = ("probability", "logit", "rank")
_LOWEST, _HIGHEST = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
"""A float32 probability of 0 or 1 has no logit; these are its neighbours that have one."""


@dataclass(frozen=True)
class EnsembleConfig:
    """Section `ensemble` of params.yaml."""

    members: tuple[str, ...]
    """Models to fuse; by default every model of the set."""
    protocol: Literal["clip", "dense", "multiscale"]
    """The protocol whose probabilities are fused."""
    weights: Literal["best", "uniform", "single", "fitted", "greedy", "per_class", "given"]
    """How the weights are found (blend.py); best is the rule with the highest cross-fitted val figure."""
    mean: Literal["best", "probability", "logit", "rank"]
    """What is averaged; best is chosen like the rule, and together with it."""
    given: dict[str, float] | None
    """With weights: given, the weight of each member; they are divided by their sum."""
    subsets: dict[str, tuple[str, ...]]
    """Name -> patterns of members (`*` and `?`): parts of the ensemble that are also tried by themselves."""
    starts: int
    """Random starts of the search for fitted weights."""
    shrinkage: float
    """Holds the weights of each class (per_class) near those of all; in videos."""
    folds: int
    """Folds of the cross-fitted figures."""
    resamples: int
    """Of the bootstrap that gives the 95 % intervals."""
    seed: int
    """Of folds, starts and resamples."""
    top: int
    """Classes a video in the submission file."""

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError("members must name at least one model, each once")
        if self.folds < 2 or self.top < 1 or self.resamples < 1:
            raise ValueError("folds must be at least 2, top and resamples at least 1")
        if self.starts < 0 or self.shrinkage < 0:
            raise ValueError("starts and shrinkage must not be negative")
        if (self.weights == "given") != (self.given is not None):
            raise ValueError("given holds the weights with `weights: given`, and is null otherwise")
        if self.given is not None:
            if set(self.given) != set(self.members):
                raise ValueError(f"given names {sorted(self.given)}, and members are {sorted(self.members)}")
            if min(self.given.values()) < 0 or sum(self.given.values()) <= 0:
                raise ValueError("given weights must not be negative, nor all zero")

    def subset(self, name: str) -> list[int]:
        """Positions of the members that a subset's patterns match."""
        patterns = self.subsets[name]
        return [i for i, member in enumerate(self.members) if any(fnmatchcase(member, p) for p in patterns)]


def check_members(tables: Mapping[str, PredictionTable]) -> None:
    """All members must speak of the same videos, classes and labels, in the same order, each video once.

    Raises:
        BadInput: names the member, or the two that differ; what is wrong, and where first.
    """
    first, *others = tables
    for member, table in tables.items():
        _check_unique(member, table.videos)
    for other in others:
        for what in ("videos", "classes", "labels"):
            a, b = getattr(tables[first], what), getattr(tables[other], what)
            if a != b:
                place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
                raise BadInput(
                    f"The members {first!r} and {other!r} differ in their {what}: {len(a)} against {len(b)}, first at "
                    f"position {place} ({_at(a, place)!r} against {_at(b, place)!r}). `dvc repro infer@{first} "
                    f"infer@{other}` makes both anew."
                )
        if not np.array_equal(tables[first].broken, tables[other].broken):
            raise BadInput(f"The members {first!r} and {other!r} differ in which videos are broken. `dvc repro`.")
    for member, table in tables.items():
        check_scores(member, table, table.probabilities)


def check_scores(member: str, table: PredictionTable, scores: np.ndarray) -> None:
    """Refuse `scores` that are not one finite number for each video and class of the table.

    Raises:
        BadInput: names the member, and the video and class of the first bad score.
    """
    remedy = f"`dvc repro --force infer@{member}` makes it anew."
    wanted = (len(table.videos), len(table.classes))
    if scores.shape != wanted:
        raise BadInput(
            f"The member {member!r} has scores of the shape {scores.shape} for {wanted} videos and classes. {remedy}"
        )
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise BadInput(
            f"The member {member!r} scores {table.videos[row]!r}, class {table.classes[column]!r}, with "
            f"{scores[row, column]}, which is no number. {remedy}"
        )


def scale(probabilities: np.ndarray, mean: str) -> np.ndarray:
    """Probabilities (..., C) on the scale on which they are averaged: float32.

    Ranks are shares of the video's classes: 1 is the highest, and classes that tie share their mean rank.
    """
    if mean == "logit":
        inside = np.clip(probabilities, _LOWEST, _HIGHEST)
        return np.log(inside / (1 - inside))
    if mean == "rank":
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        return pd.DataFrame(rows).rank(axis=1, pct=True).to_numpy(np.float32).reshape(probabilities.shape)
    return probabilities


def fuse(scores: Sequence[np.ndarray] | np.ndarray, weights: np.ndarray, mean: str) -> np.ndarray:
    """The weighted mean of scaled scores (M, V, C), back in 0..1: float32 (V, C).

    Weights are (M,), or (M, C) where every class has its own. Summed member by member: the same on any thread count.
    """
    fused = np.zeros(scores[0].shape)
    for weight, member in zip(weights, scores, strict=True):
        if np.any(weight):
            fused += weight * member
    if mean == "logit":
        fused = np.exp(-np.logaddexp(0, -fused))
    return fused.astype(np.float32)


def _check_unique(member: str, videos: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for row, video in enumerate(videos):
        if video in seen:
            raise BadInput(
                f"The member {member!r} has {video!r} in rows {seen[video]} and {row}. "
                f"`dvc repro --force infer@{member}` makes it anew."
            )
        seen[video] = row


def _at(values: Sequence[str], place: int) -> str:
    return values[place] if place < len(values) else "nothing"
