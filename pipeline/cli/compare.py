"""Show the figures of all experiments side by side.

That is `dvc exp show`, turned so that it fits a terminal: a row a figure, a column an experiment. The first columns are
data/ as it is now, and the commit.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.markdown import text_table

METRICS = "data/metrics.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments: there are none."""
    del parser


def run(args: argparse.Namespace) -> None:
    """Ask DVC, and print the table."""
    del args
    done = subprocess.run([sys.executable, "-m", "dvc", "exp", "show", "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise UserError("`dvc exp show` failed, as it says above. Run this in the project's root.")
    print(table(json.loads(done.stdout)))


def columns(shown: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, float]]]:
    """(name, figures) of every commit and experiment that `dvc exp show --json` lists and that has figures."""
    for commit in shown:
        yield from _figures(commit.get("name") or commit["rev"][:9], commit)  # nine letters: "workspace"
        for experiment in commit.get("experiments") or []:
            yield from _figures(experiment["name"] or experiment["revs"][0]["rev"][:7], experiment["revs"][0])


def table(shown: list[dict[str, Any]]) -> str:
    """The figures as text; empty cells where an experiment has no such model."""
    found = dict(columns(shown))
    rows = list(dict.fromkeys(name for figures in found.values() for name in figures))
    cells = [[row, *(_cell(figures.get(row)) for figures in found.values())] for row in rows]
    return "\n".join(text_table(["mAP, percent", *found], cells))


def _figures(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    metrics = ((entry.get("data") or {}).get("metrics") or {}).get(METRICS, {}).get("data")
    if metrics:
        yield name, dict(_flat({key: value for key, value in metrics.items() if key != "videos"}))


def _flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in node.items():
        where = f"{path} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, where)
        else:
            yield where, value


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
