"""Comparison of runs: systems, which are runs or several seeds of one, each against the first."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.clips.views import PROTOCOLS
from pipeline.comparison import changes, paired
from pipeline.comparison.changes import Change
from pipeline.comparison.paired import Difference
from pipeline.comparison.run import ENSEMBLE, Run
from pipeline.core.errors import UserError
from pipeline.core.task import Task
from pipeline.predictions.table import SPLITS, PredictionTable

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class System:
    """One run, or several that differ in the seeds of their trainings alone."""

    letter: str
    names: tuple[str, ...]
    title: str
    """What was set, against the first system."""
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Figure:
    """The headline metric of a system in percent, the mean over its seeds."""

    mean: float
    spread: float | None
    """Standard deviation over seeds; None for one."""


@dataclass(frozen=True)
class Row:
    """One figure of every system."""

    model: str
    split: str
    protocol: str
    videos: int
    """Number of videos that all systems answered, and that have the same labels in each."""
    figures: tuple[Figure | None, ...]
    """One for each system; None where it has no such model."""
    differences: tuple[Difference | None, ...]
    """Of each system but the first, from the first."""


@dataclass(frozen=True)
class Flip:
    """A video that one system answers with one of its labels and the other does not."""

    video: str
    labels: str
    before: str
    """The answer of the first system, of its first seed."""
    after: str


@dataclass(frozen=True)
class Pair:
    """The first system against another, on one model and split."""

    letter: str
    classes: tuple[tuple[str, int, Difference], ...]
    """(class, videos, difference), the largest loss first; those with few videos are left out."""
    left_out: int
    """Number of classes with fewer videos than an interval needs."""
    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]
    probability: float
    """By the sign test."""


@dataclass(frozen=True)
class Comparison:
    """All that is told of some runs."""

    task: Task
    systems: tuple[System, ...]
    rows: tuple[Row, ...]
    model: str
    """The model whose classes and videos are compared."""
    split: str
    pairs: tuple[Pair, ...]

    @property
    def several(self) -> bool:
        """Whether models stand under several protocols."""
        return len({(row.model, row.split) for row in self.rows}) < len(self.rows)

    @property
    def plain(self) -> dict[str, Any]:
        """The same as dicts, lists, texts and numbers, for JSON."""
        return {"metric": metrics.TITLE[self.task], **dataclasses.asdict(self)}


def compare(runs: Sequence[Run], model: str | None = None, split: str | None = None) -> Comparison:
    """Compare runs with the first.

    Args:
        runs: two or more.
        model: whose classes and videos are compared; None for the ensemble.
        split: val or test; None for test, or val where test has no labels.

    Raises:
        UserError: the runs are of different classes or tasks, or have nothing in common.
    """
    _same_corpus(runs)
    groups = _by_settings(runs)
    if len(groups) < 2:
        raise UserError("The runs differ in nothing but seeds, so they are one row. Name a run with another setting.")
    first = groups[0][0]
    systems = []
    for letter, group in zip(LETTERS, groups, strict=False):
        differ = changes.between(first, group[0]) if group is not groups[0] else []
        title = "" if group is groups[0] else changes.title(differ)
        systems.append(System(letter, tuple(run.name for run in group), title, tuple(differ)))
    rows = [
        row
        for each in SPLITS
        for name in _models(groups)
        for protocol in _protocols(first, name, each)
        if (row := _row(groups, name, each, protocol))
    ]
    chosen, where = _chosen(rows, model, split)
    pairs = [_pair(groups[0], group, chosen, where, systems[n].letter) for n, group in enumerate(groups) if n]
    return Comparison(_task(first), tuple(systems), tuple(rows), chosen, where, tuple(pairs))


def _task(run: Run) -> Task:
    return next(iter(run.tables.values())).task


def _same_corpus(runs: Sequence[Run]) -> None:
    for run in runs[1:]:
        for what, of in (("other classes", _classes), ("another task", _task)):
            if of(run) != of(runs[0]):
                raise UserError(
                    f"{run.name} has {what} than {runs[0].name}, so that a higher figure says nothing. "
                    "Compare runs of one corpus."
                )


def _classes(run: Run) -> tuple[str, ...]:
    return next(iter(run.tables.values())).classes


def _by_settings(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs, those together that differ in seeds alone, in their first order; as many as there are letters."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            seeds = [other.settings for other in group]
            if run.settings and run.settings not in seeds and run.seedless == group[0].seedless:
                group.append(run)
                break
        else:
            groups.append([run])
    if len(groups) > len(LETTERS):
        raise UserError(f"{len(groups)} runs are too many for one comparison: {len(LETTERS)} at most.")
    return groups


def _models(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Models that the first system and another have, in the order of names, and the ensemble at last."""
    found = {model for model, _ in groups[0][0].tables if model != ENSEMBLE}
    others = {model for group in groups[1:] for model, _ in group[0].tables}
    return [*sorted(found & others), *([ENSEMBLE] if ENSEMBLE in others else [])]


def _protocols(run: Run, model: str, split: str) -> list[str]:
    """The protocols under which a model is compared: that of its answers, and those that its views are for."""
    views, table = run.views.get((model, split)), run.tables.get((model, split))
    own = [] if table is None else [str(table.meta.get("protocol", ""))]
    others = [one for one in PROTOCOLS if views and one in views.grid["protocols"]]
    return others if set(own) <= set(others) else [*own, *others]


def _row(groups: Sequence[Sequence[Run]], model: str, split: str, protocol: str) -> Row | None:
    tables = [[table for run in group if (table := run.under(model, split, protocol))] for group in groups]
    if not tables[0] or not any(tables[1:]):
        return None
    videos = _common([table for group in tables for table in group])
    figures: list[Figure | None] = []
    shares: list[np.ndarray | None] = []
    for group in tables:
        each = [metrics.per_video(table.task, *_answers(table, videos)) for table in group]
        means = [100 * float(share.mean()) for share in each]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
        figures.append(Figure(float(np.mean(means)), spread) if means else None)
        shares.append(np.mean(each, axis=0) if each else None)
    first = shares[0]
    assert first is not None  # as it has tables
    differences = [None if share is None else paired.of_means(first, share) for share in shares[1:]]
    return Row(model, split, protocol, len(videos), tuple(figures), tuple(differences))


def _common(tables: Sequence[PredictionTable]) -> list[str]:
    """The videos that all tables hold with the same labels, in the order of the first."""
    labels = [dict(zip(table.videos, table.labels, strict=True)) for table in tables]
    common = [video for video, text in labels[0].items() if all(other.get(video) == text for other in labels[1:])]
    if not common:
        raise UserError("The runs have no labelled video in common, so there is nothing to compare.")
    return common


def _answers(table: PredictionTable, videos: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels (V, C) of some videos."""
    at = {video: row for row, video in enumerate(table.videos)}
    rows = [at[video] for video in videos]
    return table.probabilities[rows], table.targets()[rows]


def _chosen(rows: Sequence[Row], model: str | None, split: str | None) -> tuple[str, str]:
    """The model and split whose classes are compared."""
    known = [(row.model, row.split) for row in rows]
    models = list(dict.fromkeys(name for name, _ in known))
    if not models:
        raise UserError("The runs have no model in common, nor an ensemble each, so there is nothing to compare.")
    name = model or (ENSEMBLE if ENSEMBLE in models else models[0])
    splits = [each for each in reversed(SPLITS) if (name, each) in known and split in (None, each)]
    if not splits:
        raise UserError(
            f"The runs do not both have labelled answers of {name!r} on {split or 'val or test'}; of "
            f"{', '.join(f'{one} on {each}' for one, each in known)} they do."
        )
    return name, splits[0]


def _pair(one: Sequence[Run], other: Sequence[Run], model: str, split: str, letter: str) -> Pair:
    tables = [[run.tables[model, split] for run in group if (model, split) in run.tables] for group in (one, other)]
    if not tables[1]:
        return Pair(letter, (), 0, (), (), 1.0)
    videos = _common([table for group in tables for table in group])
    first = tables[0][0]
    targets = _answers(first, videos)[1]
    scores = [[metrics.known_scores(_answers(table, videos)[0], targets) for table in group] for group in tables]
    found = paired.of_classes(first.task, scores[0], scores[1], targets)
    counts = (targets > 0).sum(axis=0)
    classes = [
        (name, int(counts[column]), difference)
        for column, name in enumerate(first.classes)
        if (difference := found[column]) is not None
    ]
    before, after = (paired.right(each, targets) for each in scores)
    labels = dict(zip(first.videos, first.labels, strict=True))
    answers = [[first.classes[column] for column in each[0].argmax(axis=1)] for each in scores]
    flips = [Flip(video, labels[video], answers[0][row], answers[1][row]) for row, video in enumerate(videos)]
    gained = tuple(flips[row] for row in np.flatnonzero(~before & after))
    lost = tuple(flips[row] for row in np.flatnonzero(before & ~after))
    return Pair(
        letter=letter,
        classes=tuple(sorted(classes, key=lambda one: one[2].value)),
        left_out=len(found) - len(classes),
        gained=gained,
        lost=lost,
        probability=paired.sign_test(len(gained), len(lost)),
    )
