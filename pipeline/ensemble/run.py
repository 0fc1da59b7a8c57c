"""From the members' prediction files to the ensemble's: weights, fused tables, submission, and all figures.

Everything is fitted and chosen on val alone (variants.py). Only then are test labels looked at, where there are any, to
report the last figures.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.ensemble import averaging, cross_validate, submission
from pipeline.ensemble.bootstrap import intervals
from pipeline.ensemble.config import ALL, EnsembleConfig, check_members, check_scores
from pipeline.ensemble.cross_validate import Choice, Variant
from pipeline.ensemble.results import Results, Row
from pipeline.predictions.table import PredictionTable, ViewScores

_BLOCK = 500
"""Videos whose views are averaged at a time, which bounds the memory."""


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
        """Any member's table: ids, labels and classes are the same in all."""
        return next(iter(self.tables.values()))

    def probabilities(self, protocol: str) -> np.ndarray:
        """All members' probabilities under one protocol: float32 (M, V, C)."""
        return np.stack([self.of_member(member, protocol) for member in self.views])

    def of_member(self, member: str, protocol: str) -> np.ndarray:
        """One member's probabilities under one protocol: float32 (V, C)."""
        table, views = self.tables[member], self.views[member]
        if table.meta.get("protocol") == protocol:
            return table.probabilities  # the same to the last bit
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(views.logits), _BLOCK)]
        parts = [ViewScores(views.logits[block], views.grid).probabilities(protocol) for block in blocks]
        scores = np.concatenate(parts)
        check_scores(member, table, scores)
        return scores

    def mAP(self, scores: np.ndarray) -> float:  # noqa: N802  (the metric's name)
        """Sample mAP of scores (V, C)."""
        return metrics.sample_map(scores, self.any_table.targets())

    def prior(self, statistics: ClassStatistics) -> float:
        """Sample mAP of the class prior as every video's answer."""
        return self.mAP(np.tile(statistics.prior, (len(self.any_table.videos), 1)))

    def table(self, fused: np.ndarray, chosen: Variant, config: EnsembleConfig) -> PredictionTable:
        """The fused table of this split."""
        one = self.any_table
        checkpoints = {member: table.meta.get("checkpoint") for member, table in self.tables.items()}
        meta = {"model": "ensemble", "protocol": config.protocol, "checkpoints": checkpoints}
        meta |= _described(chosen, config.members, one.classes) | {"settings": asdict(config)}
        return PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta)


def run_ensemble(
    config: EnsembleConfig, manifest: Manifest, statistics: ClassStatistics, predictions: Path, out: Path
) -> Results:
    """Fuse the members and write everything to the folder `out`.

    Raises:
        UserError: a member is missing or speaks of other videos, or a setting does not fit the data.
    """
    splits = {name: Split.read(name, config.members, predictions, manifest.split(name)) for name in ("val", "test")}
    probabilities = {name: split.probabilities(config.protocol) for name, split in splits.items()}
    choice = cross_validate.compare(config, probabilities["val"], splits["val"].any_table.targets())
    chosen = choice.chosen  # from here on nothing is fitted or chosen, and test labels may be looked at
    fused = {name: _fused(chosen, scores) for name, scores in probabilities.items()}
    tables = {name: split.table(fused[name], chosen, config) for name, split in splits.items()}

    results = Results(
        denominators={name: _denominators(split) for name, split in splits.items()},
        prior={name: split.prior(statistics) for name, split in splits.items() if split.any_table.labelled},
        members={member: _protocols(member, splits) for member in config.members},
        ensembles=_ensembles(choice, splits, probabilities, fused),
        kind=f"{chosen.rule}, of {chosen.mean}",
        picked="best" in (config.weights, config.mean),
        weights=dict(zip(config.members, _shares(chosen), strict=True)),
        best_member=config.members[choice.best_member],
        worth=dict(zip(config.members, choice.worth, strict=True)),
        rows=_rows(config, choice, splits, probabilities),
        left_out=[name for name in config.subsets if name not in choice.subsets],
    )
    with files.aside(out) as partial:
        partial.mkdir()
        for name, table in tables.items():
            table.write(partial / f"{name}.parquet")
        files.write_text(partial / "submission.csv", submission.text(tables["test"], config.top))
        test = manifest.split("test")
        submission.check(partial / "submission.csv", test.videos, test.classes)
        files.write_json(partial / "weights.json", _described(chosen, config.members, manifest.classes))
        files.write_text(partial / "tables.md", results.markdown("Results"))
        files.write_text(partial / "variants.csv", results.variants_csv())
        files.write_text(partial / "members.csv", results.members_csv())
        files.write_json(partial / "figures.json", _figures(splits, tables))
    return results


def _fused(variant: Variant, probabilities: np.ndarray) -> np.ndarray:
    return averaging.fuse(averaging.scale(probabilities, variant.mean), variant.weights, variant.mean)


def _shares(variant: Variant) -> list[float]:
    """Each member's weight; the mean over the classes where every class has its own."""
    return variant.weights.reshape(len(variant.weights), -1).mean(axis=1).tolist()


def _described(variant: Variant, members: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    """A variant as plain values."""
    shares = dict(zip(members, _shares(variant), strict=True))
    described: dict[str, Any] = {"weights": variant.rule, "mean": variant.mean, "members": shares}
    if variant.weights.ndim > 1:
        by_class = zip(classes, variant.weights.T.tolist(), strict=True)
        described["classes"] = {name: dict(zip(members, found, strict=True)) for name, found in by_class}
    return described


def _ensembles(
    choice: Choice, splits: dict[str, Split], probabilities: dict[str, np.ndarray], fused: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """The rows of the report's table of ensembles, by split."""
    chosen = choice.chosen
    uniform = next(v for v in choice.variants if v.rule == "uniform" and v.mean == chosen.mean)
    labelled = {name: split for name, split in splits.items() if split.any_table.labelled}
    rows = {
        "uniform": {name: split.mAP(_fused(uniform, probabilities[name])) for name, split in labelled.items()},
        "used": {name: split.mAP(fused[name]) for name, split in labelled.items()},
    }
    if chosen.rule not in ("uniform", "given"):
        rows["cross-fitted"] = {"val": chosen.mAP}
    return rows


def _rows(
    config: EnsembleConfig, choice: Choice, splits: dict[str, Split], probabilities: dict[str, np.ndarray]
) -> list[Row]:
    """Every variant and subset with its figures on val and, where test is labelled, on test."""
    everyone = list(range(len(config.members)))
    tried = [(ALL, everyone, variant) for variant in choice.variants]
    tried += [(name, members, variant) for name, (members, variant) in choice.subsets.items()]
    best = metrics.average_precision(probabilities["val"][choice.best_member], splits["val"].any_table.targets())
    found = {"val": np.stack([variant.crossfit for _, _, variant in tried])}
    alone = {"val": best}
    if splits["test"].any_table.labelled:
        targets = splits["test"].any_table.targets()
        scaled = {mean: averaging.scale(probabilities["test"], mean) for mean in {v.mean for _, _, v in tried}}
        fused = (averaging.fuse(scaled[v.mean][members], v.weights, v.mean) for _, members, v in tried)
        found["test"] = np.stack([metrics.average_precision(scores, targets) for scores in fused])
        alone["test"] = metrics.average_precision(probabilities["test"][choice.best_member], targets)
    rows = [
        Row(members=name, weights=v.rule, mean=v.mean, used=v is choice.chosen, val_fitted=100 * float(v.fitted.mean()))
        for name, _, v in tried
    ]
    for split, precision in found.items():
        for what, values in ((split, precision), (f"{split}_gain", precision - alone[split])):
            ends = intervals(values, config.resamples, config.seed)
            for row, mean, (low, high) in zip(rows, values.mean(axis=1), ends, strict=True):
                row |= {what: 100 * float(mean), f"{what}_low": 100 * float(low), f"{what}_high": 100 * float(high)}
    return rows


def _denominators(split: Split) -> dict[str, int]:
    expected, broken = len(split.any_table.videos), int(split.any_table.broken.sum())
    return {"n_expected": expected, "n_scored": expected - broken, "n_broken": broken}


def _protocols(member: str, splits: dict[str, Split]) -> dict[str, dict[str, float]]:
    """Split -> protocol -> sample mAP of a member, where there are labels."""
    labelled = {name: split for name, split in splits.items() if split.any_table.labelled}
    return {name: {p: split.mAP(split.of_member(member, p)) for p in PROTOCOLS} for name, split in labelled.items()}


def _figures(splits: dict[str, Split], fused: dict[str, PredictionTable]) -> dict[str, dict[str, dict[str, float]]]:
    """Every metric of every member's final table and of the ensemble, with the denominators."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, split in splits.items():
        for model, table in {**split.tables, "ensemble": fused[name]}.items():
            if table.labelled:
                broken = int(table.broken.sum())
                figures.setdefault(model, {})[name] = metrics.summary(table.probabilities, table.targets(), broken)
    return figures
