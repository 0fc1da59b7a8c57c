"""What the prediction files of several seeds say of a claim: paired differences, their intervals, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from plan import Claim

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.comparison import paired
from pipeline.comparison.paired import Difference
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.ensemble.config import ALL, EnsembleConfig
from pipeline.ensemble.run import run_ensemble
from pipeline.ensemble.split_predictions import SplitPredictions
from pipeline.predictions.table import PredictionTable

SPLIT = "test"
BEST, MEAN = "best of ", "mean of "
"""How a side of a claim names the best member of an ensemble, and the mean over its members."""
Verdict = Literal["holds", "holds on average", "does not show", "contrary"]
RULE = (
    ("holds", "the interval of every seed lies above 0"),
    ("holds on average", "it does not, but that of all seeds together does, and none of a seed lies below 0"),
    ("contrary", "the interval of all seeds together lies below 0"),
    ("does not show", "anything else"),
)


class SeedEvidence:
    """The answers of one seed's models on test."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the project in which the stages ran."""
        self.folder, self.data, file = folder, folder / "data", folder / "params.yaml"
        self.config = params.load("ensemble", EnsembleConfig, file)
        self.manifest = Manifest.read(self.data / "manifest.tsv", self.data / "classes.txt")
        self._fused: dict[str, tuple[np.ndarray, str]] = {}
        models = tuple(params.read("models", file))
        self.answers = SplitPredictions.read(SPLIT, models, self.data / "predictions", self.manifest.split(SPLIT))

    @cached_property
    def _targets(self) -> np.ndarray:
        return self.answers.any_table.targets()

    def shares(self, side: str) -> np.ndarray:
        """The share of each test video in the headline metric, 0..1, float64 (V,), for a side of a claim.

        Raises:
            UserError: there is no such model or ensemble.
        """
        name, _, protocol = side.partition("@")
        if name.startswith(MEAN):
            members = self._members(name.removeprefix(MEAN))
            return np.mean([self._of_model(member, protocol) for member in members], axis=0)
        if name.startswith(BEST):
            return self._of_model(self.fused(name.removeprefix(BEST))[1], protocol)
        if name in self.answers.views:
            return self._of_model(name, protocol)
        return metrics.per_video(self.answers.task, self.fused(name)[0], self._targets)

    def _of_model(self, model: str, protocol: str) -> np.ndarray:
        scores = self.answers.of_member(model, protocol or self.config.protocol)
        return metrics.per_video(self.answers.task, scores, self._targets)

    def fused(self, name: str) -> tuple[np.ndarray, str]:
        """Scores (V, C) of an ensemble, whose weights are fitted on val, and its member that is best on val.

        Raises:
            UserError: there is no such ensemble, or it has fewer than two members.
        """
        if name not in self._fused:
            members = self._members(name)
            config, out = replace(self.config, members=members, subsets={}), self.folder / "fused" / name
            out.parent.mkdir(exist_ok=True)
            statistics = ClassStatistics.read(self.data / "stats")
            results = run_ensemble(config, self.manifest, statistics, self.data / "predictions", out)
            self._fused[name] = PredictionTable.read(out / f"{SPLIT}.parquet").probabilities, results.best_member
        return self._fused[name]

    def _members(self, name: str) -> tuple[str, ...]:
        if name != ALL and name not in self.config.subsets:
            known = (ALL, *self.config.subsets, *self.answers.views)
            raise UserError(f"There is no model or ensemble {name!r}.{params.hint(name, known)}")
        chosen = range(len(self.config.members)) if name == ALL else self.config.subset(name)
        members = tuple(self.config.members[number] for number in chosen)
        if len(members) < 2:
            raise UserError(f"The ensemble {name!r} has {len(members)} of the set's models, and needs two.")
        return members


@dataclass(frozen=True)
class Finding:
    """What came of a claim."""

    claim: Claim
    seeds: tuple[Difference, ...]
    """Difference of each seed, in percent points."""
    together: Difference
    """Difference over the test videos of all seeds."""

    @classmethod
    def of(cls, claim: Claim, evidence: Sequence[SeedEvidence]) -> "Finding":
        """Compare the sides of a claim on every seed."""
        sides = [(one.shares(claim.against), one.shares(claim.of)) for one in evidence]
        worse, better = (np.concatenate(side) for side in zip(*sides, strict=True))
        return cls(claim, tuple(paired.of_means(*side) for side in sides), paired.of_means(worse, better))

    @property
    def verdict(self) -> Verdict:
        """The verdict by `RULE`."""
        return judge(self.seeds, self.together)


def judge(seeds: Sequence[Difference], together: Difference) -> Verdict:
    """The verdict on a claim by `RULE`, from the differences of each seed and of all together."""
    if all(one.low > 0 for one in seeds):
        return "holds"
    if together.low > 0 and not any(one.high < 0 for one in seeds):
        return "holds on average"
    return "contrary" if together.high < 0 else "does not show"
