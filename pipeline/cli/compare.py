"""Compare runs: what was changed, and what came of it.

    pipeline compare                        the figures of all experiments, side by side
    pipeline compare RUN                    data/ as it is now against that run
    pipeline compare RUN RUN ...            each run against the first

RUN is an experiment, a commit, a branch or tag, or a folder with data/; `.` is data/ as it is now. With runs, each
figure comes with its difference from the first and a paired 95 % interval, then the classes and videos that changed
most. Runs that differ in the seeds of their trainings alone are one row.

Without runs it is `dvc exp show`, turned so that it fits a terminal: a row a figure, a column an experiment. The first
columns are data/ as it is now, and the commit. Experiments of another corpus than that of the first column with figures
are left out: their classes or their task differ, so that a higher figure would say nothing. Figures of the built-in
corpus that lie in the repository's history are such, once the corpus is your own.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import at_least_one
from pipeline.core.errors import UserError
from pipeline.core.markdown import text_table

if TYPE_CHECKING:
    from pipeline.comparison.compare import Comparison

METRICS = "data/metrics.json"
NO_FIGURES = ("corpus", "interval", "verdict", "videos")
"""Sections of metrics.json that hold no figures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="experiment, commit or folder; the first is the base")
    parser.add_argument("--model", metavar="NAME", help="whose classes and videos are compared (default: the ensemble)")
    parser.add_argument("--split", choices=("val", "test"), help="of those (default: test, where it has labels)")
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="N", help="rows of a list (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found; - prints it instead")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="write it as a page")


def run(args: argparse.Namespace) -> None:
    """Print the table of all experiments, or the comparison of some runs."""
    if not args.runs:
        if args.model or args.split or args.json or args.page:
            raise UserError("--model, --split, --json and --page are for runs: name one, or two; `dvc exp show`.")
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "exp", "show", "--json"], stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise UserError("`dvc exp show` failed, as it says above. Run this in the project's root.")
        shown = json.loads(done.stdout)
        print("\n".join([table(shown), *set_by(shown)]))
        return
    found = _compare([*args.runs, "."] if len(args.runs) == 1 else args.runs, args.model, args.split)
    _tell(found, args)


def _compare(names: Sequence[str], model: str | None, split: str | None) -> "Comparison":
    from pipeline.comparison.compare import compare
    from pipeline.comparison.run import find

    with ExitStack() as stack:
        return compare([find(name, stack) for name in dict.fromkeys(names)], model, split)


def _tell(found: "Comparison", args: argparse.Namespace) -> None:
    from pipeline.comparison import page
    from pipeline.comparison.text import text
    from pipeline.core import files

    if args.page:
        page.write(found, args.page)
    if args.json == Path("-"):
        print(json.dumps(found.plain, indent=2, ensure_ascii=False))
        return
    if args.json:
        files.write_json(args.json, found.plain)
    width = shutil.get_terminal_size((100, 24)).columns
    print(text(found, max(60, width), args.top))


def columns(shown: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, content of metrics.json) of all in the output of `dvc exp show --json` that have figures."""
    for commit in shown:
        yield from _figures(commit.get("name") or commit["rev"][:9], commit)  # nine letters: "workspace"
        for experiment in commit.get("experiments") or []:
            yield from _figures(experiment["name"] or experiment["revs"][0]["rev"][:7], experiment["revs"][0])


def table(shown: list[dict[str, Any]]) -> str:
    """The figures as text; empty cells where an experiment has no such model, and a line on those left out."""
    from pipeline import metrics
    from pipeline.core.task import MULTI_LABEL

    everything = dict(columns(shown))
    corpus = next((figures["corpus"] for figures in everything.values()), None)
    found = {
        name: dict(_flat({key: value for key, value in figures.items() if key not in NO_FIGURES}))
        for name, figures in everything.items()
        if figures["corpus"] == corpus
    }
    rows = list(dict.fromkeys(name for figures in found.values() for name in figures))
    cells = [[row, *(_cell(figures.get(row)) for figures in found.values())] for row in rows]
    title = metrics.TITLE[corpus["task"] if corpus else MULTI_LABEL]
    lines = text_table([f"{title}, percent", *found], cells)
    if others := len(everything) - len(found):
        lines.append(f"Left out: {others} experiment{'s' * (others > 1)} of another corpus (classes or task differ).")
    return "\n".join(lines)


def set_by(shown: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each experiment with figures: what was set, against its commit."""
    from pipeline.comparison import changes

    for commit in shown:
        base = _settings(commit)
        for experiment in commit.get("experiments") or []:
            for name, _ in _figures(experiment["name"] or experiment["revs"][0]["rev"][:7], experiment["revs"][0]):
                differ = list(changes.of_settings(base, _settings(experiment["revs"][0])))
                yield f"{name}: {changes.title(differ)}"


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    from pipeline.comparison.run import flat

    params = ((entry.get("data") or {}).get("params") or {}).get("params.yaml") or {}
    return dict(flat(params.get("data") or {}))


def _figures(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    found = ((entry.get("data") or {}).get("metrics") or {}).get(METRICS, {}).get("data")
    if found:
        yield name, {"corpus": None, **found}


def _flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in node.items():
        where = f"{path} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, where)
        else:
            yield where, value


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
