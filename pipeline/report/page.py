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
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from pipeline import metrics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import files
from pipeline.report import charts, curves, doubles, gallery, per_class, sections
from pipeline.report.config import ReportConfig
from pipeline.report.embedded import embedded
from pipeline.report.footage import Footage
from pipeline.report.inputs import InputPaths, Inputs
from pipeline.report.provenance import Provenance

PAGE = "index.html"
_TEMPLATES = Path(__file__).parent / "template"
_SCRIPTS = ("elements.js", "tables.js", "videos.js", "class.js", "gallery.js", "matrix.js")
"""Parts of the page's script, of which each uses those before it."""
_TAIL = 10
"""Fewest classes of which it is asked whether the rare ones suffer."""


def write_page(paths: InputPaths, out: Path, root: str, config: ReportConfig) -> None:
    """Write the page and its lists into the folder `out`; `root` is `dataset.root`, whose last part names the corpus.

    Raises:
        UserError: an out of an earlier stage is missing, damaged or not of this corpus.
    """
    inputs = Inputs.read(paths)
    several = len(inputs.members) > 1
    precision = per_class.precision(inputs.statistics, inputs.fused, inputs.table(inputs.best_member))
    reliability = sections.reliability_by_model(inputs)
    confusions = sections.confusion_table(inputs.fused)
    footage = Footage.of(inputs, config, root, out)
    examples = gallery.section(inputs, footage)
    values = {
        "models": sections.models(inputs),
        **({"variants": sections.variants(inputs), "members": sections.members(inputs)} if several else {}),
        "training": curves.section(inputs),
        **({"classes": sections.classes(precision)} if len(precision) >= _TAIL else {}),
        "calibration": sections.calibration(
            reliability if several else {one: reliability[one] for one in inputs.members}
        ),
        **(
            {"accuracy": sections.accuracy(inputs.fused, confusions)}
            if inputs.single_label
            else {"confusion": sections.confusion(confusions, paths.stats)}
        ),
        "gallery": examples,
        "data": sections.data(inputs),
        "broken": sections.broken(paths.broken),
        **({"doubles": found} if (found := doubles.section(inputs)) else {}),
        "provenance": Provenance.read(paths.models, inputs.checkpoints, (paths.manifest, paths.classes)),
    }
    with files.aside(out) as partial:
        partial.mkdir()
        told = embedded(inputs, examples, footage, confusions)
        files.write_text(partial / PAGE, render(inputs, values, told, Path(root).absolute().name))
        _csv(partial / "classes.csv", precision)
        for name in (*inputs.members, "ensemble"):
            _csv(partial / "reliability" / f"{name}.csv", sections.bins(reliability.get(name)))
        _csv(partial / "confusions.csv", confusions)
        _csv(partial / "curves.csv", curves.table(inputs))


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


def templates(*folders: Path) -> jinja2.Environment:
    """The templates of the page, after those of `folders`; names are escaped, and an unknown variable is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "signed": signed, "pretty_json": pretty_json}
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


def pretty_json(values: dict[str, Any]) -> str:
    """Settings as JSON, one a line."""
    return json.dumps(values, indent=2, ensure_ascii=False)


def _csv(path: Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))
