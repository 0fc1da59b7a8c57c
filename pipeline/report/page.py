"""The page about a run: gathers what the stages wrote, and renders one HTML file that needs nothing else.

Everything is read from the stages' outs and nothing is computed from videos, so that the page is made in seconds. It
judges on test where test is labelled, else on val, and says so. Long lists are cut, and say that too; beside the page
lie the whole lists as CSV, which `dvc plots show` draws. Same inputs and packages, same bytes: no clock, no path, fixed
decimals.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.class_stats import COOCCURRENCE, LABELS_PER_VIDEO
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.views import PROTOCOLS
from pipeline.core import files, frame_index
from pipeline.core.broken import BrokenVideo, read_broken
from pipeline.core.manifest import SPLITS
from pipeline.predictions.table import PredictionTable
from pipeline.report import calibration, charts, confusion, examples, per_class
from pipeline.report.calibration import Reliability
from pipeline.report.charts import Axis, Series
from pipeline.report.inputs import Run, Sources, present
from pipeline.report.provenance import Provenance

PAGE = "index.html"
CAPS = {"classes": 40, "pairs": 15, "together": 24, "exhibits": 6, "answers": 5, "broken": 30, "epochs": 200}
"""The longest list of each kind that the page shows."""
_TEMPLATES = Path(__file__).parent / "template"


def write_page(sources: Sources, out: Path) -> None:
    """Write the page and its lists into the folder `out`.

    Raises:
        UserError: an out of an earlier stage is missing, damaged or not of this corpus.
    """
    run = Run.read(sources)
    precision = per_class.precision(run.statistics, run.fused, run.table(run.best))
    reliability = {member: _reliability(run.table(member)) for member in run.members}
    if not run.ranked:
        reliability["ensemble"] = _reliability(run.fused)
    confused = confusion_table(run.fused)
    sections = {
        "headline": headline(run),
        "models": models(run),
        "variants": variants(run),
        "members": members(run),
        "curves": curves(run),
        "classes": class_section(precision),
        "calibration": calibration_section(reliability),
        "confused": confused.head(CAPS["pairs"]).to_dict("records"),
        "together": together(sources.stats),
        "gallery": exhibits(run),
        "corpus": corpus(run),
        "broken": broken(sources.broken),
        "provenance": Provenance.read(sources.models, run.checkpoints, (sources.manifest, sources.classes)),
    }
    with files.aside(out) as partial:
        partial.mkdir()
        files.write_text(partial / PAGE, render(run, sections))
        _csv(partial / "classes.csv", precision)
        for name in (*run.members, "ensemble"):
            _csv(partial / "reliability" / f"{name}.csv", _bins(reliability.get(name)))
        _csv(partial / "confusions.csv", confused)


def render(run: Run, sections: dict[str, Any]) -> str:
    """The page: every name is escaped, and an unknown variable of the template is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "signed": signed, "plain": plain}
    environment.globals |= {"caps": CAPS, "series_class": charts.series_class, "protocols": PROTOCOLS}
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    return environment.get_template("index.html").render(run=run, style=style, **sections)


def figure(value: float | None, digits: int = 2) -> str:
    """A number with fixed decimals; a dash where it is not known."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    return figure(value) if value is None or math.isnan(value) else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def plain(values: dict[str, Any]) -> str:
    """Settings, one a line."""
    return json.dumps(values, indent=2, ensure_ascii=False)


def headline(run: Run) -> dict[str, Any]:
    """The figures that one asks for first, with their intervals."""
    figures = json.loads(present(run.sources.ensemble / "figures.json").read_text(encoding="utf-8"))
    return {
        "used": run.used,
        "figures": figures["ensemble"][run.split],
        "broken": int(run.fused.broken.sum()),
        "verdict": verdict(run.used[f"{run.split}_gain_low"], run.used[f"{run.split}_gain_high"]),
    }


def verdict(low: float, high: float) -> str:
    """What an interval says of a gain, where it does not say that there is one; of a point nothing may be chance."""
    if high < 0:
        return "a loss"
    return "may be chance" if low <= 0 and low < high else ""


def models(run: Run) -> dict[str, Any]:
    """The report's two tables: models by protocol, and ensembles."""
    splits = list(run.metrics["prior"])
    ensemble = run.metrics["ensemble"]
    alike = (run.variants["members"] == "all") & (run.variants["mean"] == run.used["mean"])
    uniform = run.variants[alike & (run.variants["weights"] == "uniform")]
    rows = [("uniform weights", {s: float(uniform[s].iloc[0]) for s in splits} if len(uniform) else {})]
    rows += [("weights used", {s: ensemble[s] for s in splits})]
    rows += [("cross-fitted", {"val": ensemble["val_crossfit"]})] if "val_crossfit" in ensemble else []
    return {"splits": splits, "prior": run.metrics["prior"], "ensembles": rows}


def variants(run: Run) -> dict[str, Any]:
    """Every variant that was tried, best cross-fitted first, each with its interval on one axis."""
    table = run.variants.sort_values("val", ascending=False, kind="stable")
    axis = Axis.over("", table[["val_low", "val_high"]].to_numpy())
    rows = [
        {**row, "drawn": charts.interval(axis, row["val"], row["val_low"], row["val_high"])}
        for row in table.to_dict("records")
    ]
    return {
        "rows": rows,
        "axis": axis,
        "tested": bool(table["test"].notna().any()),
        "left_out": [name for name in run.settings.get("subsets", {}) if name not in set(table["members"])],
    }


def members(run: Run) -> list[dict[str, Any]]:
    """Each member's weight and worth, the heaviest first; a bar's length is its share of the largest."""
    table = run.worth.sort_values(["weight", "worth"], ascending=False, kind="stable")
    most = max(table["worth"].max(), 0.1)  # no long bars for what is next to nothing
    return [
        {**row, "bar": 0.0 if math.isnan(row["worth"]) else 100 * max(0.0, row["worth"]) / most}
        for row in table.to_dict("records")
    ]


def curves(run: Run) -> dict[str, Any]:
    """Val mAP and loss of every model that was trained here; the loss in percent of its first epoch's."""
    maps: list[Series] = []
    losses: list[Series] = []
    for member in run.members:
        folder = run.sources.models / member / "curves" / "plots" / "metrics"
        for into, file in ((maps, folder / "val" / "mAP.tsv"), (losses, folder / "loss.tsv")):
            if file.is_file():
                table = pd.read_csv(file, sep="\t")
                kept = sorted({*range(0, len(table), -(-len(table) // CAPS["epochs"])), len(table) - 1})
                into.append(Series(member, table["step"].to_numpy()[kept], table.iloc[kept, 1].to_numpy()))
    losses = [Series(one.name, one.x, 100 * np.asarray(one.y) / one.y[0]) for one in losses]
    drawn = {
        "mAP": _curve("Val mAP by epoch", "val mAP, percent", maps),
        "loss": _curve("Training loss by epoch", "loss, percent of epoch 1", losses),
    }
    return {"names": [one.name for one in maps], "broken": run.metrics["videos"]["val_n_broken"], **drawn}


def _curve(title: str, label: str, series: list[Series]) -> str:
    if not series:
        return ""
    x, y = (np.concatenate([getattr(one, axis) for one in series]) for axis in "xy")
    return charts.lines(title, Axis.over("epoch", x, whole=True), Axis.over(label, y), series)


def class_section(precision: pd.DataFrame) -> dict[str, Any]:
    """Average precision of every class against its train videos."""
    known = precision[precision["ensemble"].notna()]
    half = CAPS["classes"] // 2
    shown = known if len(known) <= CAPS["classes"] else pd.concat([known.head(half), known.tail(half)])
    series = Series("ensemble", known["videos"].to_numpy(), known["ensemble"].to_numpy(), known["class"].tolist())
    x = Axis.over("train videos (log scale)", known["videos"].to_numpy(), log=True)
    y = Axis.over("class AP, percent", np.append(known["ensemble"].to_numpy(), [90.0, 100.0]))
    return {
        "shown": shown.to_dict("records"),
        "all": precision.to_dict("records"),
        "unknown": len(precision) - len(known),
        "chart": charts.points("Average precision of each class by its train videos", x, y, [series]),
        "tail": per_class.thirds(known),
        "correlation": per_class.rank_correlation(known["videos"].to_numpy(), known["ensemble"].to_numpy()),
    }


def calibration_section(reliability: dict[str, Reliability]) -> dict[str, Any]:
    """Reliability diagram of every member, and of the ensemble where its scores are probabilities."""
    unit = Axis("predicted, percent", 0, 100), Axis("observed, percent", 0, 100)
    series = [
        Series(name, 100 * one.predicted, 100 * one.observed, strong=name == "ensemble")
        for name, one in reliability.items()
    ]
    return {
        "chart": charts.lines("Observed share by predicted probability", *unit, series, diagonal=True),
        "rows": list(reliability.items()),
        "bins": _bins(reliability.get("ensemble")).to_dict("records"),
    }


def confusion_table(table: PredictionTable) -> pd.DataFrame:
    """The pairs of classes that are confused, the most frequent first: label, instead, times, percent.

    Percent is the share of the label's videos that they are. Broken videos, which no model has seen, stay out.
    """
    scores, targets = table.probabilities[~table.broken], table.targets()[~table.broken]
    bearing = targets.sum(axis=0)
    found = confusion.confusions(scores, targets)
    rows = [
        (table.classes[label], table.classes[other], round(times, 2), round(100 * times / bearing[label], 2))
        for label, other, times in confusion.pairs(found, found.size)
    ]
    return pd.DataFrame(rows, columns=["label", "instead", "times", "percent"])


def together(stats: Path) -> dict[str, Any]:
    """Which labels stand together: the share of a class' train videos that also bear another."""
    table = pd.read_csv(present(stats / COOCCURRENCE), header=None, skiprows=1, dtype={0: str}, keep_default_na=False)
    names, counts = table[0].tolist(), table.iloc[:, 1:].to_numpy(dtype=np.float64)
    chosen = np.sort(np.argsort(-np.diag(counts), kind="stable")[: CAPS["together"]])
    shares = counts[np.ix_(chosen, chosen)] / np.diag(counts)[chosen, None]
    np.fill_diagonal(shares, 0)
    drawn = charts.heat_map("Share of a class' videos that bear another class", [names[i] for i in chosen], shares)
    return {"chart": drawn, "shown": len(chosen), "classes": len(names), "most": 100 * shares.max()}


def exhibits(run: Run) -> dict[str, Any]:
    """The gallery."""
    store = FrameStore(run.sources.lmdb)
    best, worst = examples.best_and_worst(run.fused, store, CAPS["exhibits"], CAPS["answers"])
    return {"best": best, "worst": worst}


def corpus(run: Run) -> dict[str, Any]:
    """Videos, labels and frames of each split."""
    index = frame_index.read(run.sources.frames)
    of_video = index.set_index("video")
    rows = []
    for split in SPLITS:
        part = run.manifest.split(split)
        seen = of_video.loc[of_video.index.intersection(part.videos)]
        labels = len(part.label_pairs()[0])
        rows.append(
            {
                "split": split,
                "videos": len(part),
                "broken": len(part) - len(seen),
                "short": int((seen["frames"] < seen["promised"]).sum()),
                "frames": float(seen["frames"].median()) if len(seen) else None,
                "labels": labels / len(part) if labels else None,
            }
        )
    sizes = index.groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    counts = pd.read_csv(present(run.sources.stats / LABELS_PER_VIDEO))
    most = int(counts["videos"].max())
    return {
        "splits": rows,
        "sizes": [(width, height, count) for (width, height), count in sizes.head(5).items()],
        "other_sizes": max(0, len(sizes) - 5),
        "labels": [{**row, "bar": 100 * row["videos"] / most} for row in counts.to_dict("records") if row["videos"]],
        "counts": run.statistics.counts,
    }


def broken(path: Path) -> dict[str, Any]:
    """The ledger: how many by reason and split, and the first of them in FFmpeg's own words."""
    found: list[BrokenVideo] = read_broken(path)
    by_reason = Counter(video.reason for video in found)
    by_split = Counter((video.reason, video.split) for video in found)
    rows = [
        {"reason": reason, "videos": count, **{split: by_split[reason, split] for split in SPLITS}}
        for reason, count in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"rows": rows, "splits": SPLITS, "shown": found[: CAPS["broken"]], "all": len(found)}


def _reliability(table: PredictionTable) -> Reliability:
    return calibration.reliability(table.probabilities, table.targets())


def _bins(found: Reliability | None) -> pd.DataFrame:
    """A row a bin: predicted, observed, forecasts; none where the scores are no probabilities."""
    columns = ["predicted", "observed", "forecasts"]
    return pd.DataFrame({name: getattr(found, name) if found else [] for name in columns})


def _csv(path: Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))
