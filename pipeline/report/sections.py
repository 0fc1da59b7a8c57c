"""Sections of the page: what each template of template/ is filled with, in the order of the page.

A function bears the name of its section and template, and returns the variables that the template finds under it.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.class_stats import COOCCURRENCE, LABELS_PER_VIDEO, ClassStatistics
from pipeline.core import frame_index
from pipeline.core.broken_videos import BrokenVideo, read_broken
from pipeline.core.manifest import SPLITS
from pipeline.predictions.table import PredictionTable
from pipeline.report import charts, per_class
from pipeline.report.calibration import Reliability, bin_forecasts
from pipeline.report.charts import Axis, Series
from pipeline.report.confusion import confused_pairs, confusion_matrix, recall_and_precision
from pipeline.report.inputs import Inputs, existing

_ENDS = ("", "_low", "_high")
BASELINES = (("random answers", "chance"), ("class prior", "prior"))
CAPS = {
    "overrides": 5,
    "matrix": 60,
    "classes": 40,
    "all_classes": 1000,
    "opened": 400,
    "points": 2000,
    "pairs": 15,
    "together": 24,
    "broken": 30,
}
"""Longest list of each kind that the page shows."""


def headline(inputs: Inputs) -> dict[str, Any]:
    """Metrics that one asks for first, with their intervals."""
    found = json.loads(existing(inputs.paths.ensemble / "figures.json").read_text(encoding="utf-8"))
    return {
        "used": inputs.used,
        "sentences": inputs.verdicts["sentences"],
        "told": not math.isnan(inputs.used[f"{inputs.split}_gain"]),
        "metrics": found["ensemble"][inputs.split],
        "broken": int(inputs.fused.broken.sum()),
        "unseen": int(inputs.fused.unseen.sum()),
        "verdict": verdict(inputs.used[f"{inputs.split}_gain_low"], inputs.used[f"{inputs.split}_gain_high"]),
    }


def verdict(low: float, high: float) -> str:
    """Remark on the interval of a gain that is a loss, may be chance or is not told; empty for a gain, or a point."""
    if math.isnan(low):
        return "no model is better than chance"
    if high < 0:
        return "a loss"
    return "may be chance" if low <= 0 and low < high else ""


def models(inputs: Inputs) -> dict[str, Any]:
    """The report's two tables: models by protocol, and ensembles."""
    splits = list(inputs.verdicts["splits"])
    ensemble = inputs.metrics["ensemble"]
    alike = (inputs.variants["members"] == "all") & (inputs.variants["mean"] == inputs.used["mean"])
    uniform = inputs.variants[alike & (inputs.variants["weights"] == "uniform")]
    plain = dict(uniform.iloc[0]) if len(uniform) else {}
    rows = [("uniform weights", {s: [plain[f"{s}{end}"] for end in _ENDS] for s in splits} if plain else {})]
    rows += [("weights used", {s: _with_ends(inputs, s) for s in splits})]
    rows += [("cross-fitted", {"val": _with_ends(inputs, "val_crossfit")})] if "val_crossfit" in ensemble else []
    if "val_choice" in ensemble:
        rows.append(("cross-fitted, chosen by fold", {"val": _with_ends(inputs, "val_choice")}))
    baselines = [(name, {s: inputs.verdicts["splits"][s][key] for s in splits}) for name, key in BASELINES]
    videos = inputs.metrics["videos"]
    counts = {
        member: [f"{videos[name]:.0f} {s}" for s in splits if videos.get(name := f"{member}_{s}_n_unseen")]
        for member in inputs.members
    }
    return {
        "splits": splits,
        "baselines": baselines,
        "ensembles": rows if len(inputs.members) > 1 else [],
        "unseen": {member: " and ".join(found) for member, found in counts.items() if found},
    }


def _with_ends(inputs: Inputs, name: str) -> list[float]:
    """A figure of the ensemble and the ends of its interval, from metrics.json."""
    ends = inputs.metrics["interval"]
    return [inputs.metrics["ensemble"][name], *(ends[f"ensemble_{name}{end}"] for end in _ENDS[1:])]


def variants(inputs: Inputs) -> dict[str, Any]:
    """Every variant that was compared, best cross-fitted first, each with its interval on one axis."""
    table = inputs.variants.sort_values("val", ascending=False, kind="stable")
    axis = Axis.over("", table[["val_low", "val_high"]].to_numpy())
    rows = [
        {**row, "drawn": charts.interval(axis, row["val"], row["val_low"], row["val_high"])}
        for row in table.to_dict("records")
    ]
    return {
        "rows": rows,
        "axis": axis,
        "tested": bool(table["test"].notna().any()),
        "left_out": [name for name in inputs.settings.get("subsets", {}) if name not in set(table["members"])],
    }


def members(inputs: Inputs) -> list[dict[str, Any]]:
    """Each member's weight and worth, the heaviest first; a bar's length is its share of the largest worth."""
    table = inputs.member_table.sort_values(["weight", "worth"], ascending=False, kind="stable")
    most = max(table["worth"].max(), 0.1)  # no long bars for what is next to nothing
    return [
        {**row, "bar": 0.0 if math.isnan(row["worth"]) else 100 * max(0.0, row["worth"]) / most}
        for row in table.to_dict("records")
    ]


def classes(precision: pd.DataFrame) -> dict[str, Any]:
    """Average precision of every class against its train videos, from the table of `per_class.precision`."""
    known = precision[precision["ensemble"].notna()]
    half = CAPS["classes"] // 2
    shown = known if len(known) <= CAPS["classes"] else pd.concat([known.head(half), known.tail(half)])
    step = max(1, -(-len(known) // CAPS["points"]))
    some = known.iloc[::step]
    series = Series("ensemble", some["videos"].to_numpy(), some["ensemble"].to_numpy(), some["class"].tolist())
    x = Axis.over("train videos (log scale)", known["videos"].to_numpy(), log=True)
    y = Axis.over("class AP, percent", np.append(known["ensemble"].to_numpy(), [90.0, 100.0]))
    return {
        "shown": shown.to_dict("records"),
        "all": precision.to_dict("records"),
        "unknown": len(precision) - len(known),
        "step": step,
        "chart": charts.points("Average precision of each class by its train videos", x, y, [series]),
        "tail": per_class.thirds(known),
        "correlation": per_class.rank_correlation(known["videos"].to_numpy(), known["ensemble"].to_numpy()),
    }


def calibration(reliability: dict[str, Reliability]) -> dict[str, Any]:
    """Reliability diagram, calibration error and Brier score of every model in `reliability_by_model`."""
    unit = Axis("predicted, percent", 0, 100), Axis("observed, percent", 0, 100)
    alone = next(iter(reliability.values())) if len(reliability) == 1 else None
    series = [
        Series(name, 100 * one.predicted, 100 * one.observed, strong=name == "ensemble")
        for name, one in reliability.items()
    ]
    return {
        "chart": charts.lines("Observed share by predicted probability", *unit, series, diagonal=True),
        "rows": list(reliability.items()),
        "bins": bins(reliability.get("ensemble", alone)).to_dict("records"),
    }


def reliability_by_model(inputs: Inputs) -> dict[str, Reliability]:
    """Reliability of every member, and of the ensemble where its scores are probabilities."""
    tables = {member: inputs.table(member) for member in inputs.members}
    tables |= {} if inputs.fuses_ranks else {"ensemble": inputs.fused}
    return {name: bin_forecasts(table.probabilities, table.targets()) for name, table in tables.items()}


def bins(reliability: Reliability | None) -> pd.DataFrame:
    """A row a bin: predicted, observed, forecasts; none where the scores are no probabilities."""
    columns = ["predicted", "observed", "forecasts"]
    return pd.DataFrame({name: getattr(reliability, name) if reliability else [] for name in columns})


def confusion(table: pd.DataFrame, stats: Path) -> dict[str, Any]:
    """The most confused pairs of `confusion_table`, and which labels stand together in train."""
    return {"pairs": table.head(CAPS["pairs"]).to_dict("records"), "together": together(stats)}


def accuracy(table: PredictionTable, pairs: pd.DataFrame) -> dict[str, Any]:
    """Where each video has one label: the confusion matrix, the most confused pairs, recall and precision by class.

    Broken videos, which no model has seen, stay out. Of many classes there is no matrix, and the lists are cut.
    """
    seen = table.probabilities[table.seen], table.targets()[table.seen]
    rows = recall_and_precision(*seen, table.classes)
    chart = ""
    if len(table.classes) <= CAPS["matrix"]:
        chart = charts.confusion_map("Answers by true class", table.classes, confusion_matrix(*seen))
    return {
        "chart": chart,
        "pairs": pairs.head(CAPS["pairs"]).to_dict("records"),
        "rows": rows[rows["videos"] > 0].to_dict("records"),
    }


def confusion_table(table: PredictionTable) -> pd.DataFrame:
    """A row a pair of classes that are confused, the most frequent first: label, instead, times, percent.

    Percent is the share of the label's videos. Broken videos, which no model has seen, stay out.
    """
    scores, targets = table.probabilities[table.seen], table.targets()[table.seen]
    labelled = (targets > 0).sum(axis=0)
    found = confused_pairs(scores, targets)
    rows = [
        (table.classes[label], table.classes[other], round(times, 2), round(100 * times / labelled[label], 2))
        for label, other, times in found.itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=["label", "instead", "times", "percent"])


def together(stats: Path) -> dict[str, Any]:
    """Heat map of the labels that stand together: the share of a class' train videos that have another class too."""
    known = ClassStatistics.read(stats)
    names, chosen = known.classes, np.sort(np.argsort(-known.counts, kind="stable")[: CAPS["together"]])
    place = {names[number]: position for position, number in enumerate(chosen)}
    words = {"class": str, "other": str}
    table = pd.read_csv(existing(stats / COOCCURRENCE), dtype=words, keep_default_na=False)
    table = table[table["class"].isin(place) & table["other"].isin(place)]
    counts = np.zeros((len(chosen), len(chosen)))
    counts[table["class"].map(place), table["other"].map(place)] = table["videos"]
    shares = (counts + counts.T) / known.counts[chosen, None]
    drawn = charts.heat_map("Share of a class' videos that bear another class", [names[i] for i in chosen], shares)
    return {"chart": drawn, "shown": len(chosen), "classes": len(names), "most": 100 * shares.max()}


def data(inputs: Inputs) -> dict[str, Any]:
    """Videos, labels and frames of each split, frame sizes, and labels per video."""
    index = frame_index.read(inputs.paths.frames)
    sizes = index.groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    counts = pd.read_csv(existing(inputs.paths.stats / LABELS_PER_VIDEO))
    most, manifest = int(counts["videos"].max()), inputs.manifest
    return {
        "splits": [_split(inputs, split, index.set_index("video")) for split in SPLITS],
        "sizes": [(width, height, count) for (width, height), count in sizes.head(5).items()],
        "other_sizes": max(0, len(sizes) - 5),
        "labels": [{**row, "bar": 100 * row["videos"] / most} for row in counts.to_dict("records") if row["videos"]],
        "counts": inputs.statistics.counts,
        "unknown": 100 * len(manifest.unknown_pairs()[0]) / (len(manifest) * len(manifest.classes)),
    }


def _split(inputs: Inputs, split: str, index: pd.DataFrame) -> dict[str, Any]:
    """A row of the table of splits, from the index of the frames by video."""
    part = inputs.manifest.split(split)
    with_frames = index.loc[index.index.intersection(part.videos)]
    labels = len(part.label_pairs()[0])
    return {
        "split": split,
        "videos": len(part),
        "broken": len(part) - len(with_frames),
        "damaged": int((with_frames["damaged"] > 0).sum()),
        "short": int((with_frames["frames"] < with_frames["promised"]).sum()),
        "frames": float(with_frames["frames"].median()) if len(with_frames) else None,
        "labels": labels / len(part) if labels else None,
    }


def broken(path: Path) -> dict[str, Any]:
    """Broken videos: how many by reason and split, and the first of them in FFmpeg's own words."""
    found: list[BrokenVideo] = read_broken(path)
    by_reason = Counter(video.reason for video in found)
    by_split = Counter((video.reason, video.split) for video in found)
    rows = [
        {"reason": reason, "videos": count, **{split: by_split[reason, split] for split in SPLITS}}
        for reason, count in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"rows": rows, "splits": SPLITS, "shown": found[: CAPS["broken"]], "all": len(found)}
