"""Run of the ensemble: members' prediction files -> member weights, fused prediction files, submission and all metrics.

Everything is fitted and selected on val alone (cross_validate.py). Only then are test labels read, where there are any,
to report the last metrics.
"""

from dataclasses import asdict, dataclass, replace
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
from pipeline.ensemble.cross_validate import Selection, Variant
from pipeline.ensemble.results import Results, Row
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores

_BLOCK = 500
"""Videos whose views are averaged at a time, which bounds the memory."""


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
    def denominators(self) -> dict[str, int]:
        """Number of videos: n_expected, n_scored and n_broken."""
        expected, broken = len(self.any_table.videos), int(self.any_table.broken.sum())
        return {"n_expected": expected, "n_scored": expected - broken, "n_broken": broken}

    def probabilities(self, protocol: str) -> np.ndarray:
        """Probabilities of all members under a protocol: float32 (M, V, C)."""
        return np.stack([self.of_member(member, protocol) for member in self.views])

    def of_member(self, member: str, protocol: str) -> np.ndarray:
        """Probabilities of one member under a protocol: float32 (V, C)."""
        table, views = self.tables[member], self.views[member]
        if table.meta.get("protocol") == protocol:
            return table.probabilities  # the same to the last bit
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(views.logits), _BLOCK)]
        parts = [replace(views, logits=views.logits[block]).probabilities(protocol) for block in blocks]
        scores = np.concatenate(parts)
        check_scores(member, table, scores)
        return scores

    def mAP(self, scores: np.ndarray) -> float:  # noqa: N802  (the metric's name)
        """Sample mAP in percent of scores (V, C)."""
        return metrics.sample_map(scores, self.any_table.targets())

    def prior(self, statistics: ClassStatistics) -> float:
        """Sample mAP in percent of the class prior, given as the answer for every video."""
        return self.mAP(np.tile(statistics.prior, (len(self.any_table.videos), 1)))

    def fused_table(self, fused: np.ndarray, used: Variant, config: EnsembleConfig) -> PredictionTable:
        """Prediction table of the ensemble, from its fused scores (V, C) and the variant that made them."""
        one = self.any_table
        checkpoints = {member: table.meta.get("checkpoint") for member, table in self.tables.items()}
        meta = {"model": "ensemble", "protocol": config.protocol, "checkpoints": checkpoints}
        meta |= _description(used, config.members, one.classes) | {"settings": asdict(config)}
        return PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta)


Splits = dict[str, SplitPredictions]
"""Split -> the members' predictions."""


def run_ensemble(
    config: EnsembleConfig, manifest: Manifest, statistics: ClassStatistics, predictions: Path, out: Path
) -> Results:
    """Fuse the members' files below `predictions`, and write everything to the folder `out`.

    Raises:
        UserError: a member is missing or is of other videos, or a setting does not fit the data.
    """
    splits = {
        name: SplitPredictions.read(name, config.members, predictions, manifest.split(name)) for name in ("val", "test")
    }
    probabilities = {name: split.probabilities(config.protocol) for name, split in splits.items()}
    selection = cross_validate.select(config, probabilities["val"], splits["val"].any_table.targets())
    used = selection.used  # from here on nothing is fitted or selected, and test labels may be read
    fused = {name: _fuse(used, scores) for name, scores in probabilities.items()}
    tables = {name: split.fused_table(fused[name], used, config) for name, split in splits.items()}

    results = Results(
        denominators={name: split.denominators for name, split in splits.items()},
        prior={name: split.prior(statistics) for name, split in _labelled(splits).items()},
        members={member: _by_protocol(member, splits) for member in config.members},
        ensembles=_ensembles(selection, splits, probabilities, fused),
        kind=f"{used.rule}, of {used.mean}",
        selected="best" in (config.weights, config.mean),
        member_weights=dict(zip(config.members, _member_weights(used), strict=True)),
        best_member=config.members[selection.best_member],
        worth=dict(zip(config.members, selection.worth, strict=True)),
        rows=_rows(config, selection, splits, probabilities),
        left_out=[name for name in config.subsets if name not in selection.subsets],
    )
    with files.aside(out) as partial:
        partial.mkdir()
        _write(partial, config, results, used, splits, tables)
    return results


def _write(
    out: Path,
    config: EnsembleConfig,
    results: Results,
    used: Variant,
    splits: Splits,
    tables: dict[str, PredictionTable],
) -> None:
    for name, table in tables.items():
        table.write(out / f"{name}.parquet")
    test = tables["test"]
    files.write_text(out / "submission.csv", submission.text(test, config.top))
    submission.check(out / "submission.csv", test.videos, test.classes)
    files.write_json(out / "weights.json", _description(used, config.members, test.classes))
    files.write_text(out / "tables.md", results.markdown("Results"))
    files.write_text(out / "variants.csv", results.variants_csv())
    files.write_text(out / "members.csv", results.members_csv())
    files.write_json(out / "figures.json", _metrics_by_model(splits, tables))


def _labelled(splits: Splits) -> Splits:
    return {name: split for name, split in splits.items() if split.any_table.labelled}


def _fuse(variant: Variant, probabilities: np.ndarray) -> np.ndarray:
    return averaging.fuse(averaging.scale(probabilities, variant.mean), variant.weights, variant.mean)


def _member_weights(variant: Variant) -> list[float]:
    """One weight a member; the mean over the classes where every class has its own."""
    weights: list[float] = variant.weights.reshape(len(variant.weights), -1).mean(axis=1).tolist()
    return weights


def _description(variant: Variant, members: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    """Content of weights.json."""
    by_member = dict(zip(members, _member_weights(variant), strict=True))
    description: dict[str, Any] = {"weights": variant.rule, "mean": variant.mean, "members": by_member}
    if variant.weights.ndim > 1:
        by_class = zip(classes, variant.weights.T.tolist(), strict=True)
        description["classes"] = {name: dict(zip(members, weights, strict=True)) for name, weights in by_class}
    return description


def _ensembles(
    selection: Selection, splits: Splits, probabilities: dict[str, np.ndarray], fused: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Rows of the table of ensembles, as in `Results`."""
    used = selection.used
    uniform = next(v for v in selection.variants if v.rule == "uniform" and v.mean == used.mean)
    labelled = _labelled(splits)
    rows = {
        "uniform": {name: split.mAP(_fuse(uniform, probabilities[name])) for name, split in labelled.items()},
        "used": {name: split.mAP(fused[name]) for name, split in labelled.items()},
    }
    if used.rule not in ("uniform", "given"):
        rows["cross-fitted"] = {"val": used.mAP}
    return rows


def _rows(
    config: EnsembleConfig, selection: Selection, splits: Splits, probabilities: dict[str, np.ndarray]
) -> list[Row]:
    """Rows of variants.csv: every variant and subset, with its metrics on val and, where it is labelled, on test."""
    everyone = list(range(len(config.members)))
    evaluated = [(ALL, everyone, variant) for variant in selection.variants]
    evaluated += [(name, members, variant) for name, (members, variant) in selection.subsets.items()]
    precision = {"val": np.stack([variant.crossfit for _, _, variant in evaluated])}
    if splits["test"].any_table.labelled:
        targets = splits["test"].any_table.targets()
        means = {variant.mean for _, _, variant in evaluated}
        scaled = {mean: averaging.scale(probabilities["test"], mean) for mean in means}
        fused = (averaging.fuse(scaled[v.mean][members], v.weights, v.mean) for _, members, v in evaluated)
        precision["test"] = np.stack([metrics.average_precision(scores, targets) for scores in fused])
    rows = [
        Row(
            members=name, weights=v.rule, mean=v.mean, used=v is selection.used, val_fitted=100 * float(v.fitted.mean())
        )
        for name, _, v in evaluated
    ]
    for split, of_rows in precision.items():
        best = metrics.average_precision(probabilities[split][selection.best_member], splits[split].any_table.targets())
        for metric, values in ((split, of_rows), (f"{split}_gain", of_rows - best)):
            ends = intervals(values, config.resamples, config.seed)
            for row, mean, (low, high) in zip(rows, values.mean(axis=1), ends, strict=True):
                row |= {
                    metric: 100 * float(mean),
                    f"{metric}_low": 100 * float(low),
                    f"{metric}_high": 100 * float(high),
                }
    return rows


def _by_protocol(member: str, splits: Splits) -> dict[str, dict[str, float]]:
    """Split -> protocol -> sample mAP in percent of a member, where there are labels."""
    return {
        name: {protocol: split.mAP(split.of_member(member, protocol)) for protocol in PROTOCOLS}
        for name, split in _labelled(splits).items()
    }


def _metrics_by_model(splits: Splits, fused: dict[str, PredictionTable]) -> dict[str, dict[str, dict[str, float]]]:
    """Content of figures.json: member, or "ensemble" -> split -> all metrics of its final table."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, split in splits.items():
        for model, table in {**split.tables, "ensemble": fused[name]}.items():
            if table.labelled:
                broken = int(table.broken.sum())
                found.setdefault(model, {})[name] = metrics.summary(table.probabilities, table.targets(), broken)
    return found
