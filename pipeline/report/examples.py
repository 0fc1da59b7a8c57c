"""Examples: which videos the gallery shows, and what every model says of them.

A video with k labels is answered with its k highest classes, as in confusion.py. An answer is right where these are the
labels, partly right where some of them are, and wrong where none is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.core import labels
from pipeline.predictions.table import PredictionTable
from pipeline.report.confusion import answered

RIGHT, PARTLY, WRONG = "right", "partly right", "wrong"


@dataclass(frozen=True)
class Answer:
    """A class among the highest scores of a video."""

    name: str
    score: float
    right: bool | None
    """Whether the class is a label of the video; None where nobody knows."""


@dataclass(frozen=True)
class Opinion:
    """What a model says of a video."""

    kind: str
    """`RIGHT`, `PARTLY` or `WRONG`."""
    answers: tuple[Answer, ...]
    """Classes with the highest scores, in descending order."""
    classes: tuple[str, ...]
    """Its answer: the k highest classes of a video with k labels."""


@dataclass(frozen=True)
class Example:
    """A video of the gallery."""

    video: str
    precision: float
    """Average precision over the classes, 0..1."""
    labels: tuple[str, ...]
    said: Opinion
    """What the ensemble says."""
    members: Mapping[str, Opinion]
    """What each member says; empty where there is one."""
    strip: str | None
    """Small frames as a data URL; empty where the store has none, None where the page has no room for it."""
    link: str
    """URL of the video file; empty where the page has no links."""

    @property
    def right_members(self) -> str:
        """How many of the members are right: "all", "some" or "none"; empty where there is one member."""
        right = [said.kind == RIGHT for said in self.members.values()]
        return ("all" if all(right) else "some" if any(right) else "none") if right else ""

    @property
    def classes(self) -> list[str]:
        """Labels of the video, and the other classes that the ensemble answers."""
        return [*self.labels, *(name for name in self.said.classes if name not in self.labels)]


def best_and_worst(table: PredictionTable, each: int) -> tuple[list[int], list[int]]:
    """Rows of the best and the worst videos of a labelled table, at most `each` of both.

    No video is in both lists, and none whose labels stand above all other classes is among the worst. Of videos with
    the same average precision, the one whose lowest label stands higher above the other classes is the better. Broken
    videos, which no model has seen, stay out, and so do those without a label.
    """
    seen = shown(table)
    if not len(seen):
        return [], []
    scores, targets = table.probabilities[seen], table.targets()[seen]
    precision = metrics.average_precision(scores, targets)
    order = np.lexsort((seen, _margin(scores, targets), precision))
    worst = order[: min(each, (len(order) + 1) // 2, int((precision < 1).sum()))]
    best = order[max(len(worst), len(order) - each) :][::-1]
    return seen[best].tolist(), seen[worst].tolist()


def disputed(tables: Sequence[PredictionTable], most: int, but: Collection[int]) -> list[int]:
    """Rows of the videos on whose answers the members agree least, at most `most`, without the rows `but`.

    Two members agree by the share of their answers that they have in common, and all by the mean over the pairs. Videos
    on which all are of one mind stay out, and those that `best_and_worst` leaves out, too. A member that cannot see a
    video has no say on it.
    """
    if len(tables) < 2:
        return []
    members = np.sum([table.seen for table in tables], axis=0)
    seen = np.flatnonzero((members >= 2) & (tables[0].targets() > 0).any(axis=1))
    targets = tables[0].targets()[seen]
    votes = np.zeros(targets.shape, np.int32)
    for table in tables:
        votes += answered(table.probabilities[seen], targets) * table.seen[seen, None]
    agreeing = (votes * (votes - 1)).sum(axis=1) / (votes.sum(axis=1) * (members[seen] - 1))
    order = [int(i) for i in np.argsort(agreeing, kind="stable") if agreeing[i] < 1]
    return [row for row in seen[order].tolist() if row not in but][:most]


def of_other_classes(table: PredictionTable, most: int, but: Collection[int]) -> list[int]:
    """Rows that give a video to the classes that no video of the rows `but` has as a label, at most `most`.

    Of each such class it is the video with its lowest score; the classes with the least average precision come first.
    """
    seen = shown(table)
    scores, targets = table.probabilities[seen], table.targets()[seen]
    shows = targets > 0
    there = shows[np.isin(seen, list(but))].any(axis=0)
    chosen: list[int] = []
    for column in np.argsort(metrics.class_average_precision(scores, targets), kind="stable"):
        if there[column] or not shows[:, column].any() or len(chosen) == most:
            continue
        place = int(np.argmin(np.where(shows[:, column], scores[:, column], np.inf)))
        chosen.append(int(seen[place]))
        there |= shows[place]
    return chosen


def shown(table: PredictionTable) -> np.ndarray:
    """Rows of the videos that can be examples: not broken, and with a label."""
    return np.flatnonzero(table.seen & (table.targets() > 0).any(axis=1))


def opinions(table: PredictionTable, rows: list[int], top: int) -> list[Opinion]:
    """What a model says of the videos of some rows, with its `top` answers each."""
    scores, targets = table.probabilities[rows], table.targets()[rows]
    found = []
    for score, target, mine in zip(scores, targets, answered(scores, targets), strict=True):
        order = np.argsort(-score, kind="stable").tolist()
        label = target > 0
        kind = RIGHT if (mine == label).all() else PARTLY if (mine & label).any() else WRONG
        right = [None if target[i] < 0 else bool(label[i]) for i in order[:top]]
        answers = tuple(map(Answer, [table.classes[i] for i in order[:top]], score[order[:top]].tolist(), right))
        found.append(Opinion(kind, answers, tuple(table.classes[i] for i in order if mine[i])))
    return found


def labels_of(table: PredictionTable, row: int) -> tuple[str, ...]:
    """Names of the labels of a video."""
    return labels.shown(table.labels[row])


def _margin(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Lowest score of a label less the highest of another class (V,); infinite where every class is a label."""
    lowest = np.where(targets > 0, scores, np.inf).min(axis=1)
    margin: np.ndarray = lowest - np.where(targets != 0, -np.inf, scores).max(axis=1)
    return margin
