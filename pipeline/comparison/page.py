"""A comparison as one HTML file that needs nothing else."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.comparison.compare import Comparison, Pair
from pipeline.comparison.paired import FEWEST, RESAMPLES, Difference
from pipeline.core import files
from pipeline.core.task import SINGLE_LABEL
from pipeline.report import charts
from pipeline.report.charts import Axis
from pipeline.report.page import style, templates

MOST = 200
"""Classes, and videos each way, that the page lists; the JSON has all."""
_TEMPLATES = Path(__file__).parent / "template"


def write(found: Comparison, file: Path) -> None:
    """Write the page, all or nothing."""
    environment = templates(_TEMPLATES)
    page = environment.get_template("comparison.html").render(
        found=found,
        style=style(),
        metric=metrics.TITLE[found.task],
        figure="recall" if found.task == SINGLE_LABEL else "average precision",
        rows=_rows(found),
        several=found.several,
        pairs=[_pair(pair) for pair in found.pairs],
        fewest=FEWEST,
        resamples=RESAMPLES,
        most=MOST,
    )
    files.write_text(file, page)


def _rows(found: Comparison) -> list[dict[str, Any]]:
    axis = _axis([one for row in found.rows for one in row.differences if one is not None])
    return [
        {"row": row, "drawn": [None if one is None else _drawn(axis, one) for one in row.differences]}
        for row in found.rows
    ]


def _pair(pair: Pair) -> dict[str, Any]:
    """The classes that differ most, on one axis, and the videos."""
    half = MOST // 2
    classes = pair.classes if len(pair.classes) <= MOST else (*pair.classes[:half], *pair.classes[-half:])
    axis = _axis([one for _, _, one in classes])
    rows = [{"name": name, "videos": videos, "one": one, "drawn": _drawn(axis, one)} for name, videos, one in classes]
    return {"pair": pair, "classes": rows, "differ": sum(one.shown for _, _, one in pair.classes)}


def _axis(differences: list[Difference]) -> Axis:
    """An axis that holds all intervals, and zero."""
    return Axis.over("", np.array([0.0, *(end for one in differences for end in (one.low, one.high))]))


def _drawn(axis: Axis, one: Difference) -> Any:
    return charts.interval(axis, one.value, one.low, one.high, zero=True)
