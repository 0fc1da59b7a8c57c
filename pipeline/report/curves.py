"""How the models learnt: curves by epoch, and what a probe compared."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.report import charts
from pipeline.report.charts import Axis, Series
from pipeline.report.inputs import Inputs

FIGURES = {
    "figure": "val/{headline}.tsv",
    "train_figure": "train/{headline}.tsv",
    **{name: f"{name}.tsv" for name in ("loss", "loss_present", "loss_absent", "gradient_norm", "lr")},
}
"""Column of `curves.csv` -> the file of it among a model's curves; `figure` is the headline metric."""
EPOCHS = 200
"""Most epochs that the page draws of a model; `curves.csv` has all."""


def table(inputs: Inputs) -> pd.DataFrame:
    """A row an epoch of each model trained here, with what is known of: model, epoch (from 1), and FIGURES."""
    found = []
    for member in inputs.members:
        folder = inputs.paths.models / member / "curves" / "plots" / "metrics"
        columns = [
            pd.read_csv(file, sep="\t").set_axis(["epoch", name], axis=1).set_index("epoch")
            for name, path in FIGURES.items()
            if (file := folder / path.format(headline=metrics.HEADLINE[inputs.task])).is_file()
        ]
        if columns:
            found.append(pd.concat(columns, axis=1).assign(model=member).reset_index())
    return (pd.concat(found) if found else pd.DataFrame()).reindex(columns=["model", "epoch", *FIGURES])


def section(inputs: Inputs) -> dict[str, Any]:
    """The curves of each model trained here by epoch; losses and their parts in percent of the first epoch's loss.

    The figures of val and of the sample of train have one axis, so that over-fitting is seen.
    """
    rows = table(inputs).reset_index(drop=True)
    first = rows.groupby("model", sort=False)["loss"].transform("first")
    for name in ("loss", "loss_present", "loss_absent"):
        rows[name] *= 100 / first
    score, scores = inputs.metric, rows[["figure", "train_figure"]].to_numpy(np.float64)
    shown = {
        "figure": (f"Val {score} by epoch", f"val {score}, percent"),
        "train_figure": (f"Train {score} by epoch", f"train {score}, percent"),
        "loss": ("Training loss by epoch", "loss, percent of epoch 1"),
        "loss_present": ("Loss of present classes by epoch", "percent of the loss of epoch 1"),
        "loss_absent": ("Loss of absent classes by epoch", "percent of the loss of epoch 1"),
        "gradient_norm": ("Norm of the gradient by epoch", "mean of the steps, before clipping"),
        "lr": ("Learning rate by epoch", "at the last step"),
    }
    drawn = {
        name: _curve(*words, rows, name, scores if name.endswith("figure") else rows[[name]].to_numpy(np.float64))
        for name, words in shown.items()
    }
    compared = [{"name": member, **found} for member in inputs.members if (found := _compared(inputs, member))]
    broken = inputs.metrics["videos"]["val_n_broken"]
    names = list(dict.fromkeys(rows["model"]))
    return {"names": names, "broken": broken, "compared": compared, "drawn": drawn}


def _compared(inputs: Inputs, member: str) -> dict[str, Any]:
    """The settings that a probe compared: decays, and for each of the other a figure for each of them.

    The other is the weight of appearance of a linear layer, or the learning rate (`rate`) of an attentive head.
    """
    folder = inputs.paths.models / member / "curves" / "plots" / "metrics"
    other = "rate" if (folder / "rate.tsv").is_file() else "appearance"
    files = (
        folder / "decay.tsv",
        folder / f"{other}.tsv",
        folder / "held_out" / f"{metrics.HEADLINE[inputs.task]}.tsv",
    )
    if not all(file.is_file() for file in files):
        return {}
    columns = (pd.read_csv(file, sep="\t").iloc[:, 1] for file in files)
    found = pd.DataFrame(dict(zip(("decay", other, "figure"), columns, strict=True)))
    grid = found.pivot_table("figure", other, "decay")
    rows = [(float(weight), row.tolist()) for weight, row in grid.iterrows()]
    return {"decays": grid.columns.tolist(), "rows": rows, "best": float(found["figure"].max()), "other": other}


def _curve(title: str, label: str, rows: pd.DataFrame, name: str, span: np.ndarray) -> str:
    """The chart of a figure, a line a model, on an axis that holds all of `span`; nothing where no model has it."""
    series = []
    for model, own in rows[rows[name].notna()].groupby("model", sort=False):
        kept = sorted({*range(0, len(own), -(-len(own) // EPOCHS)), len(own) - 1})
        series.append(Series(str(model), *own[["epoch", name]].to_numpy(np.float64)[kept].T))
    if not series:
        return ""
    epochs = np.concatenate([one.x for one in series])
    return charts.lines(title, Axis.over("epoch", epochs, whole=True), Axis.over(label, span[~np.isnan(span)]), series)
