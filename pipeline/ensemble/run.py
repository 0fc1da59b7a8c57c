"""Run of the ensemble: members' prediction files -> member weights, fused prediction files, submission and all metrics.

Everything is fitted and selected on val alone (cross_validate.py). Only then are test labels read, where there are any,
to report the last metrics.
"""

from pathlib import Path

import numpy as np

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import checksums, files
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task
from pipeline.ensemble import averaging, cross_validate, submission
from pipeline.ensemble.bootstrap import intervals
from pipeline.ensemble.config import ALL, EnsembleConfig
from pipeline.ensemble.results import CHOICE, Estimate, Results, Row
from pipeline.ensemble.split_predictions import SplitPredictions, describe, member_weights
from pipeline.ensemble.variants import Selection, Variant
from pipeline.ensemble.verdicts import SplitVerdicts, judge_split
from pipeline.predictions.table import PredictionTable

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
    task = splits["val"].task
    cross_validate.check_setting(config, len(splits["val"].any_table.videos), task)
    probabilities = {name: split.probabilities(config.protocol) for name, split in splits.items()}
    val = splits["val"]
    selection = cross_validate.select(config, probabilities["val"], val.any_table.targets(), task, val.sees)
    used = selection.used  # from here on nothing is fitted or selected, and test labels may be read
    fused = {name: _fuse(used, scores, task, splits[name].sees) for name, scores in probabilities.items()}
    tables = {name: split.fused_table(fused[name], used, config) for name, split in splits.items()}
    verdicts = _judge(config, selection, splits, probabilities, fused, statistics)

    results = Results(
        task=task,
        classes=manifest.classes,
        denominators={name: split.denominators for name, split in splits.items()},
        verdicts=verdicts,
        members={member: _by_protocol(member, splits, config) for member in config.members},
        unseen=_unseen(splits),
        where_seen={member: _by_protocol(member, splits, config, seen=True) for member in _unseen(splits)},
        stand_ins={member: said for member in config.members if (said := val.stand_in(member))},
        ensembles=_ensembles(config, selection, splits, probabilities, fused),
        kind=f"{used.rule}, of {used.mean}",
        selected=selection.chosen,
        member_weights=dict(zip(config.members, member_weights(used), strict=True)),
        best_member=config.members[selection.best_member],
        worth=_worth(config, selection, any_better=verdicts["val"].any_better),
        rows=_rows(config, selection, splits, probabilities, verdicts),
        left_out=[name for name in config.subsets if name not in selection.subsets],
    )
    with files.aside(out) as partial:
        partial.mkdir()
        _write(partial, config, results, used, splits, tables)
    return results


def _judge(
    config: EnsembleConfig,
    selection: Selection,
    splits: Splits,
    probabilities: dict[str, np.ndarray],
    fused: dict[str, np.ndarray],
    statistics: ClassStatistics,
) -> dict[str, SplitVerdicts]:
    """Labelled split -> verdicts on its models; on val the ensemble is judged by the figure that counts the choice."""
    found = {}
    for name, split in _labelled(splits).items():
        figure = 100 * float(selection.crossfit.mean()) if name == "val" else split.figure(fused[name])
        found[name] = judge_split(
            name, split.task, dict(zip(config.members, probabilities[name], strict=True)),
            (fused[name], figure) if len(config.members) > 1 else None,
            statistics.prior, split.any_table.targets(), (config.resamples, config.seed),
        )  # fmt: skip
    return found


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
    unseen = {"unseen": results.unseen} if results.unseen else {}
    files.write_json(out / "weights.json", describe(used, config.members, test.classes) | unseen)
    files.write_text(out / "tables.md", results.markdown("Results"))
    files.write_text(out / "variants.csv", results.variants_csv())
    files.write_text(out / "members.csv", results.members_csv())
    files.write_json(out / "verdicts.json", results.verdicts_json())
    files.write_json(out / "figures.json", _metrics_by_model(splits, tables))
    checksums.seal(out)


def _labelled(splits: Splits) -> Splits:
    return {name: split for name, split in splits.items() if split.any_table.labelled}


def _unseen(splits: Splits) -> dict[str, dict[str, int]]:
    """Member -> split -> number of videos that it cannot see; without the members that see all."""
    counts = {
        member: {name: int(split.tables[member].unseen.sum()) for name, split in splits.items()}
        for member in splits["val"].tables
    }
    return {member: by for member, by in counts.items() if any(by.values())}


def _fuse(variant: Variant, probabilities: np.ndarray, task: Task, sees: np.ndarray | None) -> np.ndarray:
    scaled = averaging.scale(probabilities, variant.mean, task)
    return averaging.fuse(scaled, variant.weights, variant.mean, task, sees=sees)


def _ensembles(
    config: EnsembleConfig,
    selection: Selection,
    splits: Splits,
    probabilities: dict[str, np.ndarray],
    fused: dict[str, np.ndarray],
) -> dict[str, dict[str, Estimate]]:
    """Rows of the table of ensembles, as in `Results`."""
    used, labelled = selection.used, _labelled(splits)

    def estimate(values: np.ndarray) -> Estimate:
        low, high = 100 * intervals(values[None], config.resamples, config.seed)[0]
        return Estimate(100 * float(values.mean()), float(low), float(high))

    def of(scores: dict[str, np.ndarray]) -> dict[str, Estimate]:
        return {
            name: estimate(metrics.per_video(split.task, scores[name], split.any_table.targets()))
            for name, split in labelled.items()
        }

    if len(used.weights) == 1:
        return {"used": of(fused)}
    uniform = next(v for v in selection.variants if v.rule == "uniform" and v.mean == used.mean)
    alike = {name: _fuse(uniform, probabilities[name], split.task, split.sees) for name, split in labelled.items()}
    rows = {"uniform": of(alike), "used": of(fused)}
    if used.rule not in ("uniform", "given"):
        rows["cross-fitted"] = {"val": estimate(used.crossfit)}
    if selection.chosen:
        rows["choice"] = {"val": estimate(selection.crossfit)}
    return rows


def _rows(
    config: EnsembleConfig,
    selection: Selection,
    splits: Splits,
    probabilities: dict[str, np.ndarray],
    verdicts: dict[str, SplitVerdicts],
) -> list[Row]:
    """Rows of variants.csv: every variant and subset, then the choice among them, with their metrics.

    A gain is over the best member, on val over that which is best without the video's fold. Where no model is better
    than chance, there is none.
    """
    everyone, task = list(range(len(config.members))), splits["val"].task
    evaluated = [(ALL, everyone, variant) for variant in selection.variants]
    evaluated += [(name, members, variant) for name, (members, variant) in selection.subsets.items()]
    rows = [
        Row(
            members=name, weights=v.rule, mean=v.mean, used=v is selection.used, val_fitted=100 * float(v.fitted.mean())
        )
        for name, _, v in evaluated
    ]
    metric = {"val": np.stack([variant.crossfit for _, _, variant in evaluated])}
    best = {"val": selection.crossfit_single}
    if splits["test"].any_table.labelled:
        targets, answers, sees = splits["test"].any_table.targets(), probabilities["test"], splits["test"].sees
        fused = (
            _fuse(variant, answers[members], task, None if sees is None else sees[members])
            for _, members, variant in evaluated
        )
        metric["test"] = np.stack([metrics.per_video(task, scores, targets) for scores in fused])
        best["test"] = metrics.per_video(task, answers[selection.best_member], targets)
    if selection.chosen:
        rows.append(Row(members=ALL, weights=CHOICE, mean=CHOICE, used=False))
        metric["val"] = np.vstack([metric["val"], selection.crossfit])
    for split, values in metric.items():
        _add(rows, split, values, config)
        if verdicts[split].any_better and len(everyone) > 1:
            _add(rows, f"{split}_gain", values - best[split], config)
    return rows


def _worth(config: EnsembleConfig, selection: Selection, *, any_better: bool) -> dict[str, Estimate | None]:
    """Member -> its worth, as in `Results`."""
    found: dict[str, Estimate | None] = dict.fromkeys(config.members)
    for name, lost in zip(config.members, selection.lost, strict=True):
        if lost is not None and any_better:
            ends = 100 * intervals(lost[None], config.resamples, config.seed)[0]
            found[name] = Estimate(100 * float(lost.mean()), *map(float, ends))
    return found


def _add(rows: list[Row], name: str, values: np.ndarray, config: EnsembleConfig) -> None:
    """Add the mean of `values` (R, V) and its interval, in percent, to the first R rows."""
    for row, each, ends in zip(rows, values, intervals(values, config.resamples, config.seed), strict=False):
        row |= {name: 100 * float(each.mean())}
        row |= {f"{name}_{end}": 100 * float(value) for end, value in zip(("low", "high"), ends, strict=True)}


def _by_protocol(
    member: str, splits: Splits, config: EnsembleConfig, *, seen: bool = False
) -> dict[str, dict[str, Estimate]]:
    """Split -> protocol -> headline metric of a member, where there are labels; or of the videos alone that it sees."""
    found = {}
    for name, split in _labelled(splits).items():
        rows = ~split.tables[member].unseen if seen else np.ones(len(split.any_table.videos), bool)
        if not rows.any():
            continue
        targets = split.any_table.targets()[rows]
        answers = [split.of_member(member, protocol)[rows] for protocol in PROTOCOLS]
        values = np.stack([metrics.per_video(split.task, each, targets) for each in answers])
        ends = 100 * intervals(values, config.resamples, config.seed)
        estimates = (Estimate(100 * float(v.mean()), *map(float, e)) for v, e in zip(values, ends, strict=True))
        found[name] = dict(zip(PROTOCOLS, estimates, strict=True))
    return found


def _metrics_by_model(splits: Splits, fused: dict[str, PredictionTable]) -> dict[str, dict[str, dict[str, float]]]:
    """Content of figures.json: member, or "ensemble" -> split -> all metrics of its final table.

    A model that cannot see some videos has them besides under "<split>_seen", of the others alone.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, split in splits.items():
        for model, table in {**split.tables, "ensemble": fused[name]}.items():
            if not table.labelled:
                continue
            scores, targets, unseen = table.probabilities, table.targets(), table.unseen
            counts = int(table.broken.sum()), table.task
            found.setdefault(model, {})[name] = metrics.summary(scores, targets, *counts, int(unseen.sum()))
            if unseen.any() and not unseen.all():
                found[model][f"{name}_seen"] = metrics.summary(scores[~unseen], targets[~unseen], *counts)
    return found
