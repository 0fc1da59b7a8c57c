"""Predictions of all members for one split: read, checked against the manifest, and averaged under any protocol."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.clips.views import PROTOCOLS
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task, noted
from pipeline.ensemble.config import EnsembleConfig, check_members, check_scores
from pipeline.ensemble.variants import Variant
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores


@dataclass(frozen=True)
class SplitPredictions:
    """Predictions of all members for one split, "val" or "test"."""

    name: str
    tables: dict[str, PredictionTable]
    """Member -> its final predictions, under the protocol that its model was run for."""
    views: dict[str, ViewScores]
    """Member -> its scores of every view."""

    @classmethod
    def read(cls, name: str, members: tuple[str, ...], predictions: Path, manifest: Manifest) -> "SplitPredictions":
        """Read the members' files below `predictions`, and check that they are of the same videos and classes.

        Args:
            name: the split.
            members: folders below `predictions`.
            predictions: the folder that stage `infer` and imported scores are written to.
            manifest: the videos of this split.

        Raises:
            UserError: a member has no predictions, or not those of this manifest.
        """
        tables = {m: PredictionTable.read(predictions / m / f"{name}.parquet") for m in members}
        check_members(tables)
        first = tables[members[0]]
        if list(first.videos) != manifest.videos or first.classes != manifest.classes:
            raise UserError(
                f"{predictions}/{members[0]}/{name}.parquet holds {len(first.videos)} videos of {len(first.classes)} "
                f"classes that are not those of the manifest ({len(manifest)} of {len(manifest.classes)}). `dvc repro`."
            )
        views = {m: ViewScores.read(predictions / m, name) for m in members}
        return cls(name, tables, views)

    @property
    def any_table(self) -> PredictionTable:
        """Table of the first member: ids, labels, classes and broken videos are the same in all."""
        return next(iter(self.tables.values()))

    @property
    def unseen(self) -> np.ndarray:
        """Which members cannot see which videos: bool (M, V)."""
        return np.stack([table.unseen for table in self.tables.values()])

    @property
    def sees(self) -> np.ndarray | None:
        """Which members answer for which videos, bool (M, V), see unseen.py; None where all answer for every video.

        For a video that none can see all do, with the class prior.
        """
        unseen = self.unseen
        return ~unseen | unseen.all(axis=0) if unseen.any() else None

    @property
    def denominators(self) -> dict[str, int]:
        """Number of videos: n_expected, n_scored and n_broken; and n_unseen, of those that no member can see."""
        one, unseen = self.any_table, self.unseen.all(axis=0)
        return metrics.denominators(len(one.videos), int(one.broken.sum()), int(unseen.sum()))

    def probabilities(self, protocol: str) -> np.ndarray:
        """Probabilities of all members under a protocol: float32 (M, V, C)."""
        return np.stack([self.of_member(member, protocol) for member in self.views])

    def of_member(self, member: str, protocol: str) -> np.ndarray:
        """Probabilities of one member under a protocol, or under its own where it has no such views: float32 (V, C)."""
        table, views = self.tables[member], self.views[member]
        own = table.meta.get("protocol")
        if own == (asked := views.nearest(protocol, own)):
            return table.probabilities  # the same to the last bit
        scores = views.probabilities(asked)
        check_scores(member, table, scores)
        return scores

    def stand_in(self, member: str) -> str:
        """What answers for the protocols that a member has no views for: "clip for multiscale"; empty for none."""
        own = self.tables[member].meta.get("protocol")
        lacking = [name for name in PROTOCOLS if self.views[member].nearest(name, own) != name]
        return f"{own} for {', '.join(lacking)}" if lacking else ""

    @property
    def task(self) -> Task:
        """What the members' probabilities are of."""
        return self.any_table.task

    def figure(self, scores: np.ndarray) -> float:
        """Headline metric in percent of scores (V, C)."""
        return metrics.headline(self.task, scores, self.any_table.targets())

    def fused_table(self, fused: np.ndarray, used: Variant, config: EnsembleConfig) -> PredictionTable:
        """Prediction table of the ensemble, from its fused scores (V, C) and the variant that made them."""
        one = self.any_table
        checkpoints = {member: table.meta.get("checkpoint") for member, table in self.tables.items()}
        meta = {"model": "ensemble", "protocol": config.protocol, "checkpoints": checkpoints}
        meta |= describe(used, config.members, one.classes) | {"settings": asdict(config)}
        meta |= noted(one.task)
        unseen = np.asarray(self.unseen.all(axis=0))
        return PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta, unseen)


def member_weights(variant: Variant) -> list[float]:
    """One weight a member; the mean over the classes where every class has its own."""
    weights: list[float] = variant.weights.reshape(len(variant.weights), -1).mean(axis=1).tolist()
    return weights


def describe(variant: Variant, members: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    """Content of weights.json."""
    by_member = dict(zip(members, member_weights(variant), strict=True))
    description: dict[str, Any] = {"weights": variant.rule, "mean": variant.mean, "members": by_member}
    if variant.weights.ndim > 1:
        by_class = zip(classes, variant.weights.T.tolist(), strict=True)
        description["classes"] = {name: dict(zip(members, weights, strict=True)) for name, weights in by_class}
    return description
