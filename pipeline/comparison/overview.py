"""All experiments side by side: `dvc exp show --json`, turned so that it fits a terminal.

A row is a figure, a column a commit, an experiment, or several experiments that differ in the seeds of their trainings
alone.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.comparison import changes
from pipeline.comparison.columns import tables
from pipeline.comparison.run import CODE, flat, without_seeds
from pipeline.core.task import MULTI_LABEL

METRICS = "data/metrics.json"
NO_FIGURES = ("corpus", "interval", "verdict", "videos")
"""Sections of metrics.json that hold no figures."""
_ENDS = ("_low", "_high")
"""How the ends of the intervals of chance and prior are called, which are no figures either."""
Entry = Mapping[str, Any]
"""One revision, as DVC tells of it."""


@dataclass(frozen=True)
class Column:
    """A commit, or an experiment, or several seeds of one."""

    names: tuple[str, ...]
    found: tuple[Mapping[str, Any], ...]
    """Content of metrics.json of each."""
    title: str
    """What was set, against the commit that the experiment was made from; empty for a commit."""

    @property
    def head(self) -> str:
        """What stands over the column."""
        return self.names[0] + (f" x{len(self.names)}" if len(self.names) > 1 else "")

    @property
    def corpus(self) -> Any:
        """Task and classes of the first; None where an older version did not note them."""
        return self.found[0].get("corpus")


def columns(shown: Sequence[Entry]) -> list[Column]:
    """Those of all in the output of `dvc exp show --json` that have figures."""
    found = []
    for commit in shown:
        if figures := _figures(commit):
            found.append(Column((commit.get("name") or commit["rev"][:9],), (figures,), ""))  # as in "workspace"
        found += _experiments(commit)
    return found


def _experiments(commit: Entry) -> Iterator[Column]:
    """The experiments of a commit that have figures, several seeds of one together."""
    base, groups = _settings(commit), dict[Any, list[tuple[str, dict[str, Any], Entry]]]()
    for experiment in commit.get("experiments") or []:
        first = experiment["revs"][0]
        if not (figures := _figures(first)):
            continue
        name, settings = experiment["name"] or first["rev"][:7], _settings(first)
        same = json.dumps([without_seeds(settings), figures.get("corpus")], sort_keys=True), _code(first)
        alike = groups.setdefault(same, [])
        if not settings or settings in (one for _, one, _ in alike):  # the same once more, or nobody knows
            alike = groups.setdefault(name, [])
        alike.append((name, settings, figures))
    for group in groups.values():
        if group:
            names, settings, figures = zip(*group, strict=True)
            yield Column(names, figures, _title(base, settings))


def _title(base: Mapping[str, Any], settings: Sequence[dict[str, Any]]) -> str:
    """What was set; of several seeds, besides those."""
    if len(settings) == 1:
        return changes.title(list(changes.of_settings(base, settings[0])))
    others = list(changes.of_settings(without_seeds(base), without_seeds(settings[0])))
    return ", ".join([*([changes.title(others)] if others else []), f"{len(settings)} seeds"])


def text(shown: Sequence[Entry], width: int = 100) -> str:
    """The figures in tables of at most `width` columns, as far as one fits; then what was set in each experiment.

    Experiments of another corpus than that of the first column are left out, and counted.
    """
    everything = columns(shown)
    corpus = everything[0].corpus if everything else None
    kept = [one for one in everything if one.corpus == corpus]
    figures = [[dict(_flat({k: v for k, v in of.items() if k not in NO_FIGURES})) for of in one.found] for one in kept]
    rows = list(dict.fromkeys(row for column in figures for of in column for row in of if not row.endswith(_ENDS)))
    cells = [[_cell([of[row] for of in column if row in of]) for row in rows] for column in figures]
    title = f"{metrics.TITLE[corpus['task'] if corpus else MULTI_LABEL]}, percent"
    lines = tables(title, rows, [[[one.head, *own]] for one, own in zip(kept, cells, strict=True)], width)
    if others := len(everything) - len(kept):
        lines.append(f"Left out: {others} experiment{'s' * (others > 1)} of another corpus (classes or task differ).")
    for one in kept:
        if one.title:
            lines += textwrap.wrap(f"{', '.join(one.names)}: {one.title}", width, subsequent_indent="    ")
    if any(len(one.names) > 1 for one in kept):
        lines.append("Several seeds are one column: their mean, and ± their standard deviation.")
    return "\n".join(lines)


def _figures(entry: Entry) -> dict[str, Any]:
    """Content of metrics.json; empty where the revision has none."""
    return dict(((entry.get("data") or {}).get("metrics") or {}).get(METRICS, {}).get("data") or {})


def _settings(entry: Entry) -> dict[str, Any]:
    params = ((entry.get("data") or {}).get("params") or {}).get("params.yaml") or {}
    return dict(flat(params.get("data") or {}))


def _code(entry: Entry) -> tuple[tuple[str, Any], ...]:
    """(file or folder of code that a stage runs, its hash)."""
    deps = (entry.get("data") or {}).get("deps") or {}
    return tuple(sorted((path, of.get("hash")) for path, of in deps.items() if path.startswith(CODE)))


def _flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in node.items():
        where = f"{path} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, where)
        else:
            yield where, value


def _cell(values: Sequence[float]) -> str:
    """The mean of some seeds, and their standard deviation; empty where an experiment has no such model."""
    if not values:
        return ""
    return f"{np.mean(values):.2f}" + (f" ±{np.std(values, ddof=1):.2f}" if len(values) > 1 else "")
