"""What the pages show of a video: plain values for the templates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.manifest import SPLITS
from pipeline.ui.answers import NONE
from pipeline.ui.catalogue import ENSEMBLE, Catalogue
from pipeline.ui.marks import Mark
from pipeline.ui.media import Media
from pipeline.ui.query import Query

TOP = 5
"""Classes with the highest scores that are shown of each model."""


@dataclass(frozen=True)
class Score:
    """What a model says of one class of a video."""

    value: float
    rank: int
    """From 1 on, the highest score first."""


@dataclass(frozen=True)
class ClassRow:
    """A class that is worth a look, by what the models say of it."""

    name: str
    is_label: bool
    is_unknown: bool
    """Whether nobody knows if the video shows it."""
    is_marked: bool
    scores: tuple[Score, ...]
    """One a model."""


def card(catalogue: Catalogue, media: Media, asked: Query, row: int, marked: set[str]) -> dict[str, Any]:
    """What the list shows of a video; `marked` are the ids that bear a mark."""
    name = asked.model or next(iter(catalogue.models))
    model = catalogue.models[name]
    broken = catalogue.broken.get(row)
    answered = model.best[row] != NONE
    return {
        "row": row,
        "video": catalogue.videos[row].as_py(),
        "split": SPLITS[catalogue.split[row]],
        "reason": broken.reason if broken else "",
        "labels": catalogue.names(row),
        "answer": catalogue.classes[model.best[row]] if answered else "",
        "score": float(model.highest[row]) if answered else None,
        "right": bool(model.right[row]),
        "unjudged": bool(model.unjudged[row]),
        "lowest": _known(model.lowest_label[row]),
        "apart": _known(catalogue.apart[row]),
        "marked": catalogue.videos[row].as_py() in marked,
        "frames": media.frames(row),
    }


def video(catalogue: Catalogue, media: Media, row: int, marks: list[Mark]) -> dict[str, Any]:
    """What the page of a video shows of it; `marks` are its own."""
    broken = catalogue.broken.get(row)
    scores = {name: one for name in catalogue.models if (one := catalogue.scores(name, row)) is not None}
    return {
        "row": row,
        "video": catalogue.videos[row].as_py(),
        "path": catalogue.paths[row].as_py(),
        "split": SPLITS[catalogue.split[row]],
        "labelled": bool(catalogue.labelled[row]),
        "labels": catalogue.names(row),
        "unknown": len(catalogue.unknown[row]),
        "reason": broken.reason if broken else "",
        "words": broken.words if broken else "",
        "span": catalogue.spans.get(row),
        "fragment": media.span(row),
        "kind": media.kind(row),
        "frames": media.frames(row),
        "apart": _known(catalogue.apart[row]),
        "answered_by": tuple(scores),
        "members": sum(name != ENSEMBLE for name in scores),
        "rows": class_rows(catalogue, row, list(scores.values()), {mark.label for mark in marks}),
    }


def class_rows(catalogue: Catalogue, row: int, scores: list[np.ndarray], marked: set[str]) -> list[ClassRow]:
    """The `TOP` classes of each model, the labels, and the classes that are marked, by the first model's score."""
    if not scores:
        return []
    labels, unknown = (set(of[row].tolist()) for of in (catalogue.labels, catalogue.unknown))
    ranks = []
    shown = labels | {number for number, name in enumerate(catalogue.classes) if name in marked}
    for each in scores:
        order = np.argsort(-each, kind="stable")
        shown |= set(order[:TOP].tolist())
        ranks.append(np.argsort(order, kind="stable") + 1)
    return [
        ClassRow(
            catalogue.classes[number],
            number in labels,
            number in unknown,
            catalogue.classes[number] in marked,
            tuple(Score(float(one[number]), int(rank[number])) for one, rank in zip(scores, ranks, strict=True)),
        )
        for number in sorted(shown, key=lambda number: (ranks[0][number], number))
    ]


def _known(value: np.floating[Any]) -> float | None:
    return None if np.isnan(value) else float(value)
