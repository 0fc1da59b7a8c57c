"""From the members' prediction files to the ensemble's: weights, fused tables, submission, and all figures.

Weights are chosen on val alone. Test labels, where there are any, are looked at once, to report the last figure.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import ensemble, metrics, work
from pipeline.ensemble import EnsembleConfig
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable, ViewScores
from pipeline.records import Manifest
from pipeline.results import Results
from pipeline.statistics import ClassStatistics
from pipeline.views import PROTOCOLS


@dataclass(frozen=True)
class Split:
    """The members' predictions of one split."""

    name: str
    tables: dict[str, PredictionTable]
    views: dict[str, ViewScores]

    @classmethod
    def read(cls, name: str, members: tuple[str, ...], predictions: Path, manifest: Manifest) -> "Split":
        """Read and compare; `manifest` holds the split.

        Raises:
            BadInput: a member has no predictions, or not those of this manifest.
        """
        tables = {m: PredictionTable.read(predictions / m / f"{name}.parquet") for m in members}
        ensemble.check_members(tables)
        first = tables[members[0]]
        if list(first.videos) != manifest.videos or first.classes != manifest.classes:
            raise BadInput(
                f"{predictions}/{members[0]}/{name}.parquet holds {len(first.videos)} videos of {len(first.classes)} "
                f"classes that are not those of the manifest ({len(manifest)} of {len(manifest.classes)}). `dvc repro`."
            )
        views = {m: ViewScores.read(predictions / m, name) for m in members}
        return cls(name, tables, views)

    @property
    def any_table(self) -> PredictionTable:
        """Any member's table: ids, labels and classes are the same in all."""
        return next(iter(self.tables.values()))

    def probabilities(self, protocol: str) -> np.ndarray:
        """All members' probabilities under one protocol: float32 (M, V, C)."""
        return np.stack([views.probabilities(protocol) for views in self.views.values()])

    def mAP(self, scores: np.ndarray) -> float:  # noqa: N802  (the metric's name)
        """Sample mAP of scores (V, C)."""
        return metrics.sample_map(scores, self.any_table.targets())

    def table(self, fused: np.ndarray, weights: dict[str, float], protocol: str) -> PredictionTable:
        """The fused table of this split."""
        one = self.any_table
        checkpoints = {member: table.meta.get("checkpoint") for member, table in self.tables.items()}
        meta = {"model": "ensemble", "weights": weights, "protocol": protocol, "checkpoints": checkpoints}
        return PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta)


def run(
    config: EnsembleConfig, manifest: Manifest, statistics: ClassStatistics, predictions: Path, out: Path
) -> Results:
    """Fuse the members and write everything to the folder `out`.

    Raises:
        BadInput: a member is missing or speaks of other videos, or a setting does not fit the data.
    """
    splits = {name: Split.read(name, config.members, predictions, manifest.split(name)) for name in ("val", "test")}
    val = splits["val"]
    probabilities, targets = val.probabilities(config.protocol), val.any_table.targets()
    weights = ensemble.weights_for(config, probabilities, targets)
    by_member = {member: float(weight) for member, weight in zip(config.members, weights, strict=True)}

    results = _members(splits, statistics)
    results.weights = by_member
    results.ensembles = {"uniform": {}, "used": {}}
    with work.aside(out) as partial:
        partial.mkdir()
        for name, split in splits.items():
            members = split.probabilities(config.protocol)
            table = split.table(ensemble.fuse(members, weights), by_member, config.protocol)
            table.write(partial / f"{name}.parquet")
            if table.labelled:
                results.ensembles["uniform"][name] = split.mAP(members.mean(axis=0))
                results.ensembles["used"][name] = split.mAP(table.probabilities)
            if name == "test":
                work.write_text(partial / "submission.csv", ensemble.submission(table, config.top))
        if config.weights == "fitted":
            honest = ensemble.cross_fit(probabilities, targets, config.folds, config.seed)
            results.ensembles["cross-fitted"] = {"val": val.mAP(honest)}
        work.write_json(partial / "weights.json", {"weights": config.weights, "members": by_member})
        work.write_text(partial / "tables.md", results.markdown("Results", config.weights))
        work.write_json(partial / "figures.json", _figures(splits, partial))
    return results


def _members(splits: dict[str, Split], statistics: ClassStatistics) -> Results:
    """Denominators, the prior, and every member under every protocol."""
    denominators, prior = {}, {}
    members: dict[str, dict[str, dict[str, float]]] = {}
    for name, split in splits.items():
        table = split.any_table
        expected, broken = len(table.videos), int(table.broken.sum())
        denominators[name] = {"n_expected": expected, "n_scored": expected - broken, "n_broken": broken}
        if not table.labelled:
            continue
        prior[name] = split.mAP(np.tile(statistics.prior, (expected, 1)))
        for member, views in split.views.items():
            by = {protocol: split.mAP(views.probabilities(protocol)) for protocol in PROTOCOLS}
            members.setdefault(member, {})[name] = by
    return Results(denominators, prior, members)


def _figures(splits: dict[str, Split], fused: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Every metric of every member's final table and of the ensemble, with the denominators."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, split in splits.items():
        tables = {**split.tables, "ensemble": PredictionTable.read(fused / f"{name}.parquet")}
        for model, table in tables.items():
            if table.labelled:
                broken = int(table.broken.sum())
                figures.setdefault(model, {})[name] = metrics.summary(table.probabilities, table.targets(), broken)
    return figures
