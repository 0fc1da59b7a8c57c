"""Section `ensemble` of params.yaml, and the checks that the members fit together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.predictions.table import RESERVED_NAMES, PredictionTable, remedy

ALL = "all"
"""Name of the whole ensemble in the column `members` of variants.csv; no subset may be called so."""
NOT = "!"
"""What leads a pattern of a subset that leaves members out."""


@dataclass(frozen=True)
class EnsembleConfig:
    """Section `ensemble` of params.yaml."""

    members: tuple[str, ...]
    """Names of the models to fuse; by default every model of the set."""
    protocol: Literal["clip", "dense", "multiscale"]
    """Test-time views whose probabilities are fused (clips/views.py)."""
    weights: Literal["best", "uniform", "single", "fitted", "greedy", "per_class", "given"]
    """Rule for the member weights (weight_search.py); best takes the one with the highest cross-fitted val mAP."""
    mean: Literal["best", "probability", "logit", "rank"]
    """Scale on which scores are averaged (averaging.py); best is selected like the rule, and together with it."""
    given: dict[str, float] | None
    """Weight of each member under `weights: given`, null otherwise; they are divided by their sum."""
    subsets: dict[str, tuple[str, ...]]
    """Name -> patterns of members (`*` and `?`): parts of the ensemble that are also evaluated by themselves. A pattern
    behind `!` leaves members out that others match."""
    starts: int
    """Random starts of the search for fitted weights, 0 or more."""
    shrinkage: float
    """Strength with which per_class holds each class near the weights of all classes, in videos; 0 or more."""
    folds: int
    """Folds of the val split for the cross-fitted mAP, at least 2."""
    resamples: int
    """Resamples of the bootstrap that gives the 95 % intervals, at least 1."""
    seed: int
    """Seed of the folds, random starts and resamples."""
    top: int
    """Classes per video in the submission file, at least 1."""

    def __post_init__(self) -> None:
        twice = len(set(self.members)) < len(self.members)
        taken = [repr(name) for name in self.members if name in RESERVED_NAMES]
        params.require(
            (bool(self.members) and not twice, "members must name at least one model, each once"),
            (not taken, f"members: {', '.join(taken)} needs another name, as metrics.json has other figures under it"),
            (ALL not in self.subsets, f"subsets: one cannot be called {ALL!r}, as that is the whole ensemble"),
            (self.folds >= 2, f"folds must be at least 2, not {self.folds}"),
            (self.top >= 1 and self.resamples >= 1, "top and resamples must be at least 1"),
            (
                self.starts >= 0 and 0 <= self.shrinkage < math.inf,
                "starts and shrinkage must be finite and not negative",
            ),
            (self.seed >= 0, "seed must not be negative"),
            (
                (self.weights == "given") == (self.given is not None),
                "given holds the weights with `weights: given`, and is null otherwise",
            ),
        )
        if self.given is not None:
            weights = self.given.values()
            params.require(
                (
                    set(self.given) == set(self.members),
                    f"given names {sorted(self.given)}, and members are {sorted(self.members)}",
                ),
                (
                    all(0 <= weight < math.inf for weight in weights) and any(weights),
                    "given weights must be finite and not negative, nor all zero",
                ),
            )

    def subset(self, name: str) -> list[int]:
        """Positions of the members that a subset's patterns match, and none of those behind `!` does."""
        wanted = [pattern for pattern in self.subsets[name] if not pattern.startswith(NOT)]
        left_out = [pattern.removeprefix(NOT) for pattern in self.subsets[name] if pattern.startswith(NOT)]
        return [i for i, member in enumerate(self.members) if _fits(member, wanted) and not _fits(member, left_out)]


def _fits(member: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(member, pattern) for pattern in patterns)


def check_members(tables: Mapping[str, PredictionTable]) -> None:
    """Check that all members have the same videos, classes and labels in the same order, and the same broken videos.

    Raises:
        UserError: two members differ; the message names them, and the first place where they do.
    """
    first, *others = tables
    for other in others:
        for what in ("videos", "classes", "labels"):
            a, b = getattr(tables[first], what), getattr(tables[other], what)
            if a != b:
                place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
                raise UserError(
                    f"The members {first!r} and {other!r} differ in their {what}: {len(a)} against {len(b)}, first at "
                    f"position {place} ({_at(a, place)!r} against {_at(b, place)!r}). "
                    f"{_remedies(tables, first, other)}"
                )
        if not np.array_equal(tables[first].broken, tables[other].broken):
            raise UserError(
                f"The members {first!r} and {other!r} differ in which videos are broken. "
                f"{_remedies(tables, first, other)}"
            )


def check_scores(member: str, table: PredictionTable, scores: np.ndarray) -> None:
    """Check that `scores` (V, C) are one finite number for each video and class of the table.

    Raises:
        UserError: they are not; the message names the member, and the video and class of the first bad score.
    """
    makes = remedy(member, table.meta)
    wanted = (len(table.videos), len(table.classes))
    if scores.shape != wanted:
        raise UserError(
            f"The member {member!r} has scores of the shape {scores.shape} for {wanted} videos and classes. {makes}"
        )
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise UserError(
            f"The member {member!r} scores {table.videos[row]!r}, class {table.classes[column]!r}, with "
            f"{scores[row, column]}, which is no number. {makes}"
        )


def _remedies(tables: Mapping[str, PredictionTable], *members: str) -> str:
    return " ".join(f"For {member!r}: {remedy(member, tables[member].meta)}" for member in members)


def _at(values: Sequence[str], place: int) -> str:
    return values[place] if place < len(values) else "nothing"
