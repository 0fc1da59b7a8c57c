"""How the models learnt: curves by epoch, and what a probe compared."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.report import charts
from pipeline.report.charts import Axis, Series
from pipeline.report.inputs import Inputs

EPOCHS = 200
"""Most epochs that the page draws of a model; `curves.csv` has all."""


def table(inputs: Inputs) -> pd.DataFrame:
    """A row an epoch of each model trained here: model, epoch (from 1), figure (headline metric on val), loss."""
    found = []
    for member in inputs.members:
        folder = inputs.paths.models / member / "curves" / "plots" / "metrics"
        files = {"figure": folder / "val" / f"{metrics.HEADLINE[inputs.task]}.tsv", "loss": folder / "loss.tsv"}
        columns = [
            pd.read_csv(file, sep="\t").set_axis(["epoch", name], axis=1).set_index("epoch")
            for name, file in files.items()
            if file.is_file()
        ]
        if columns:
            found.append(pd.concat(columns, axis=1).assign(model=member).reset_index())
    return (pd.concat(found) if found else pd.DataFrame()).reindex(columns=["model", "epoch", "figure", "loss"])


def section(inputs: Inputs) -> dict[str, Any]:
    """Headline metric on val and loss by epoch of each model trained here; the loss in percent of its first epoch's."""
    maps: list[Series] = []
    losses: list[Series] = []
    for member, rows in table(inputs).groupby("model", sort=False):
        for into, name in ((maps, "figure"), (losses, "loss")):
            if len(known := rows[rows[name].notna()]):
                kept = sorted({*range(0, len(known), -(-len(known) // EPOCHS)), len(known) - 1})
                into.append(Series(str(member), *known[["epoch", name]].to_numpy()[kept].T))
    losses = [Series(one.name, one.x, 100 * np.asarray(one.y) / one.y[0]) for one in losses]
    drawn = {
        "score": _curve(f"Val {inputs.metric} by epoch", f"val {inputs.metric}, percent", maps),
        "loss": _curve("Training loss by epoch", "loss, percent of epoch 1", losses),
    }
    compared = [{"name": member, **found} for member in inputs.members if (found := _compared(inputs, member))]
    broken = inputs.metrics["videos"]["val_n_broken"]
    return {"names": [one.name for one in losses], "broken": broken, "compared": compared, **drawn}


def _compared(inputs: Inputs, member: str) -> dict[str, Any]:
    """The settings that a probe compared: decays, and for each weight of appearance a figure for each of them."""
    folder = inputs.paths.models / member / "curves" / "plots" / "metrics"
    files = (
        folder / "decay.tsv",
        folder / "appearance.tsv",
        folder / "held_out" / f"{metrics.HEADLINE[inputs.task]}.tsv",
    )
    if not all(file.is_file() for file in files):
        return {}
    columns = (pd.read_csv(file, sep="\t").iloc[:, 1] for file in files)
    found = pd.DataFrame(dict(zip(("decay", "appearance", "figure"), columns, strict=True)))
    grid = found.pivot_table("figure", "appearance", "decay")
    rows = [(float(weight), row.tolist()) for weight, row in grid.iterrows()]
    return {"decays": grid.columns.tolist(), "rows": rows, "best": float(found["figure"].max())}


def _curve(title: str, label: str, series: list[Series]) -> str:
    if not series:
        return ""
    x, y = (np.concatenate([getattr(one, axis) for one in series]) for axis in "xy")
    return charts.lines(title, Axis.over("epoch", x, whole=True), Axis.over(label, y), series)
