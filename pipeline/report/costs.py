"""What each member costs beside what it brings: parameters, GMACs of a video and of the training, figure and worth.

No time stands in the page: the page of the same inputs has the same bytes, and no two runs agree in seconds. GMACs are
counted from the recipe and the views, and do agree.
"""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.class_stats import ClassStatistics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import checksums, params, registry
from pipeline.core.files import RECIPE
from pipeline.report import charts
from pipeline.report.charts import Axis, Series
from pipeline.report.inputs import Inputs

PASSES = 3
"""A step of training counts as so many passes: one forward, and one backward that costs twice as much; of a frozen
encoder as one."""
COLUMNS = (
    "member", "protocol", "parameters", "gmacs_clip", "views", "gmacs_video", "gmacs_training", "figure", "low", "high",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Cost of a member."""

    parameters: int
    clip: float
    """GMACs of the clip of the protocol clip."""
    training: float | None
    """GMACs of the whole training; None where a layer was fitted to what a frozen network says, and of a recipe that
    does not say how many videos were trained on."""
    views: dict[str, int]
    """Protocol -> views of a video."""
    video: dict[str, float]
    """Protocol -> GMACs of these views."""


def of_members(inputs: Inputs) -> dict[str, Cost]:
    """Member -> its cost; without the members that were not trained here, and those whose views nobody knows.

    Raises:
        UserError: the code has no such architecture or option any more.
    """
    found = {}
    for member in inputs.members:
        path, meta = inputs.paths.models / member / RECIPE, inputs.meta(member)
        if path.is_file() and all("clip" in view for view in meta.get("views", [{}])):
            found[member] = _cost(path, meta, inputs.statistics)
    return found


def _cost(path: Path, meta: Mapping[str, Any], statistics: ClassStatistics) -> Cost:
    from pipeline import cost  # noqa: PLC0415 - PyTorch, of which nothing else here has any need

    recipe, where = json.loads(checksums.text(path)), f"{path} (`dvc repro train@{path.parent.name}` makes it again)"
    module = registry.find("models", recipe["arch"], where)
    options = params.options(module.build, recipe["options"], where)
    network = cost.without_data(lambda: module.build(len(statistics.classes), **options))
    shapes, trained = _shapes(recipe, meta, module.INPUT)
    gmacs = {shape: cost.gmacs_of(network, shape) for shape in {*shapes, *([trained] if trained else [])}}
    training, videos = None, recipe.get("train_videos")  # which are fewer than gave frames, where the model hears
    if trained and videos:
        seen = recipe["train"]["epochs"] * videos
        training = PASSES * seen * gmacs[trained] - (PASSES - 1) * seen * cost.frozen_gmacs(network, *trained[1:3])
    return Cost(
        cost.parameters(network),
        gmacs[shapes[meta["protocols"]["clip"][0]]],
        training,
        {name: len(views) for name, views in meta["protocols"].items()},
        {name: sum(gmacs[shapes[view]] for view in views) for name, views in meta["protocols"].items()},
    )


def _shapes(
    recipe: Mapping[str, Any], meta: Mapping[str, Any], spec: Any
) -> tuple[list[tuple[int, ...]], tuple[int, ...] | None]:
    """Shapes of the clips of all views as the network gets them, and of a training clip; None for a fitted layer."""
    if "seconds" in recipe["clip"]:  # of sound
        whole = (1, spec.mels, spec.frames(round(recipe["clip"]["seconds"] * spec.rate)))
        return [whole] * len(meta["views"]), whole
    sampler, crop = recipe["clip"]["sampler"], recipe["train"].get("augment", {}).get("crop")
    frames = sampler["frames"] * sampler.get("consecutive", 1)
    crops = [view["scale"]["crop"] for view in meta["views"]]
    planes = 2 if recipe["clip"].get("input") == "flow" else 3
    return [(planes, frames, side, side) for side in crops], (planes, frames, crop, crop) if crop else None


def table(inputs: Inputs, costs: Mapping[str, Cost]) -> pd.DataFrame:
    """A row for each member and protocol: what it costs, and its headline figure with its interval.

    Columns: member, protocol, parameters, gmacs_clip, views, gmacs_video, gmacs_training, figure, low, high; the costs
    are NaN where they are not known.
    """
    rows = []
    for member, protocol in itertools.product(inputs.members, PROTOCOLS):
        one, name = costs.get(member), f"{inputs.split}_{protocol}"
        known = (
            (one.parameters, one.clip, one.views[protocol], one.video[protocol], one.training)
            if one
            else [math.nan] * 5
        )
        interval = [inputs.metrics["interval"][f"{member}_{name}_{end}"] for end in ("low", "high")]
        rows.append((member, protocol, *known, inputs.metrics[member][name], *interval))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"gmacs_training": float})


def section(inputs: Inputs, found: pd.DataFrame) -> dict[str, Any]:
    """The members under the protocol that is fused, cheapest first, and the picture of all protocols."""
    fused = found[found["protocol"] == inputs.fused.meta["protocol"]].sort_values("gmacs_video", kind="stable")
    worth = dict(zip(inputs.member_table["member"], inputs.member_table["worth"], strict=True))
    weight = dict(zip(inputs.member_table["member"], inputs.member_table["weight"], strict=True))
    used = fused[fused["member"].map(weight) > 0]
    total = float(used["gmacs_video"].sum(skipna=False))
    return {
        "rows": [{**row, "worth": worth[row["member"]]} for row in fused.to_dict("records")],
        "passes": PASSES,
        "total": total,
        "used": len(used),
        "chart": _chart(inputs, found, total),
    }


def _chart(inputs: Inputs, found: pd.DataFrame, total: float) -> Markup:
    """Figure of each member by GMACs of a video, a line through its protocols, and of the ensemble where that is known.

    The figures of the ensemble are those of the headline.
    """
    known = found[found["gmacs_video"].notna()]
    if known.empty:
        return Markup("")
    series = []
    for member in inputs.members:
        rows = known[known["member"] == member]
        x, figure, low, high = (rows[name].to_numpy() for name in ("gmacs_video", "figure", "low", "high"))
        series.append(Series(member, x, figure, tuple(rows["protocol"]), low=low, high=high))
    if not math.isnan(total) and len(inputs.members) > 1:
        figure, low, high = (np.array([inputs.used[f"{inputs.split}{end}"]]) for end in ("", "_low", "_high"))
        protocol = inputs.fused.meta["protocol"]
        series.append(Series("ensemble", np.array([total]), figure, (protocol,), strong=True, low=low, high=high))
    across = Axis.over("GMACs of a video (log scale)", np.concatenate([one.x for one in series]), log=True)
    ends = np.concatenate([[*one.low, *one.high] for one in series])
    up = Axis.over(f"{inputs.split} {inputs.metric}, percent", ends)
    return charts.intervals(f"{inputs.metric} by GMACs of a video", across, up, series, "GMACs")
