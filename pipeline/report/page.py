"""Page about a run: renders what the stages wrote as one HTML file that needs nothing else.

Everything is read from the stages' outs and nothing is computed from videos, so the page takes seconds. It reports
test where test is labelled, else val, and says so. Long lists are cut, and say that too; beside the page lie the whole
lists as CSV, which `dvc plots show` draws. The same inputs and packages give the same bytes: no clock, no path, fixed
decimals.
"""

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from pipeline import metrics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.report import charts, costs, curves, doubles, gallery, per_class, precision_recall, sections
from pipeline.report.calibration import Reliability
from pipeline.report.config import ReportConfig
from pipeline.report.embedded import embedded
from pipeline.report.footage import Footage
from pipeline.report.inputs import InputPaths, Inputs
from pipeline.report.precision_recall import PrecisionRecall
from pipeline.report.provenance import Provenance

PAGE = "index.html"
_TEMPLATES = Path(__file__).parent / "template"
_SCRIPTS = ("elements.js", "tables.js", "videos.js", "class.js", "gallery.js", "matrix.js", "charts.js")
"""Parts of the page's script, of which each uses those before it."""
_NAME_PLACE, _NAME = "<!-- `pipeline page` names the run here. -->", '<p class="run">Run: '
"""Where a run's name stands in the headline, and how it begins there."""
_TAIL = 10
"""Fewest classes of which it is asked whether the rare ones suffer."""


def write_page(paths: InputPaths, out: Path, root: str, config: ReportConfig) -> None:
    """Write the page and its lists into the folder `out`; `root` is `dataset.root`, whose last part names the corpus.

    Raises:
        UserError: an out of an earlier stage is missing, damaged or not of this corpus.
    """
    inputs = Inputs.read(paths)
    found = _Found.of(inputs)
    footage = Footage.of(inputs, config, root, out)
    examples = gallery.section(inputs, footage)
    beside = _beside(inputs, found)
    values = _sections(inputs, found, examples)
    values["files"] = [(quote(name), name, what) for name, (what, _) in beside.items()]
    told = embedded(inputs, examples, footage, found.confusions)
    with files.aside(out) as partial:
        partial.mkdir()
        files.write_text(partial / PAGE, render(inputs, values, told, Path(root).absolute().name))
        for name, (_, table) in beside.items():
            files.write_text(partial / name, table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))


@dataclass(frozen=True)
class _Found:
    """What both a section and a list beside the page tell."""

    classes: pd.DataFrame
    confusions: pd.DataFrame
    costs: pd.DataFrame
    reliability: dict[str, Reliability]
    curves: dict[str, PrecisionRecall]

    @classmethod
    def of(cls, inputs: Inputs) -> "_Found":
        return cls(
            per_class.precision(inputs.statistics, inputs.fused, inputs.table(inputs.best_member)),
            sections.confusion_table(inputs.fused),
            costs.table(inputs, costs.of_members(inputs)),
            sections.reliability_by_model(inputs),
            precision_recall.by_model(inputs),
        )


def _sections(inputs: Inputs, found: _Found, examples: Any) -> dict[str, Any]:
    """Section -> what its template is filled with, in the order of the page."""
    several, paths = len(inputs.members) > 1, inputs.paths
    shown = found.reliability if several else {one: found.reliability[one] for one in inputs.members}
    return {
        "models": sections.models(inputs),
        **({"variants": sections.variants(inputs), "members": sections.members(inputs)} if several else {}),
        "costs": costs.section(inputs, found.costs),
        "training": curves.section(inputs),
        **({"classes": sections.classes(found.classes)} if len(found.classes) >= _TAIL else {}),
        "precision": precision_recall.section(found.curves),
        "calibration": sections.calibration(shown),
        **(
            {"accuracy": sections.accuracy(inputs.fused, found.confusions)}
            if inputs.single_label
            else {"confusion": sections.confusion(found.confusions, paths.stats)}
        ),
        "gallery": examples,
        "data": sections.data(inputs),
        "broken": sections.broken(paths.broken),
        **({"doubles": some} if (some := doubles.section(inputs)) else {}),
        "provenance": Provenance.read(paths.models, inputs.checkpoints, (paths.manifest, paths.classes)),
    }


def _beside(inputs: Inputs, found: _Found) -> dict[str, tuple[str, pd.DataFrame]]:
    """Name of a list beside the page -> what it is of, and the list."""
    return {
        "classes.csv": ("average precision of every class", found.classes),
        "confusions.csv": ("all pairs of classes that are confused", found.confusions),
        "costs.csv": ("cost and figure of every member and protocol", found.costs),
        "curves.csv": ("training curves by epoch", curves.table(inputs)),
        "precision_recall.csv": (
            "precision and recall of every model by threshold",
            precision_recall.table(found.curves),
        ),
        **{
            f"reliability/{name}.csv": (f"calibration of {name}", sections.bins(found.reliability.get(name)))
            for name in (*inputs.members, "ensemble")
        },
    }


def render(inputs: Inputs, values: dict[str, Any], told: dict[str, Any], corpus: str) -> str:
    """The page as HTML: a section each of `values`, in their order, by the template of its name.

    `told` are the plain values that its script reads. Every name is escaped, and an unknown variable is an error.
    """
    environment = templates()
    environment.globals |= {"caps": sections.CAPS, "series_class": charts.series_class, "protocols": PROTOCOLS}
    environment.globals["tells"] = metrics.tells
    page = environment.get_template("index.html")
    own = {"corpus": corpus, "style": style(), "headline": sections.headline(inputs), "sections": list(values)}
    own["script"], own["script_hash"] = _script()
    own["page_data"] = _embedded(told)
    return page.render(inputs=inputs, **own, **values)


def named(page: str, name: str) -> str:
    """The page with the name of its run in the headline.

    Raises:
        UserError: it has no place for one.
    """
    if page.count(_NAME_PLACE) != 1:
        raise UserError("This page has no place for the name of its run: it is of another version. `dvc repro report`.")
    return page.replace(_NAME_PLACE, f"{_NAME}{escape(name)}</p>")


def is_named(page: str) -> bool:
    """Whether a text is a page that `named` has named."""
    return _NAME in page


def templates(*folders: Path) -> jinja2.Environment:
    """The templates of the page, after those of `folders`; names are escaped, and an unknown variable is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "signed": signed,
        "three_digits": three_digits,
        "pretty_json": pretty_json,
    }
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _script() -> tuple[Markup, str]:
    """The page's script, and its hash as the page's policy names it: no other script runs."""
    text = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return Markup(text), base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()  # noqa: S704 - ours


def _embedded(values: dict[str, Any]) -> Markup:
    """JSON that may stand in a script element: no text of it ends the element."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - as escaped as JSON can be


def style() -> Markup:
    """The style sheet of all pages."""
    return Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - ours


def number(value: float | None, digits: int = 2) -> str:
    """A number with fixed decimals; a dash where it is not known."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:z.{digits}f}"


def signed(value: float | None) -> str:
    """A difference with its sign and two decimals; a dash where it is not known."""
    return number(value) if value is None or math.isnan(value) else f"{value:+z.2f}".replace("-", "\N{MINUS SIGN}")


def three_digits(value: float) -> str:
    """A positive number with three significant digits, or all before the point; a dash where it is not known."""
    return number(value) if not value > 0 else f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def pretty_json(values: dict[str, Any]) -> str:
    """Settings as JSON, one a line."""
    return json.dumps(values, indent=2, ensure_ascii=False)
