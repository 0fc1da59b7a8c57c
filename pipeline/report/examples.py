"""Examples: the videos that the ensemble answers best and worst, each with small frames, labels and highest scores."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg

from pipeline import metrics
from pipeline.clips import jpeg
from pipeline.clips.frame_store import FrameStore
from pipeline.core.labels import hidden, shown
from pipeline.predictions.table import PredictionTable

FRAMES = 5
"""Number of frames in a strip."""
_WIDTH = 150
"""Least width of a shrunken frame in pixels; JPEG shrinks by simple fractions while it decodes."""
_QUALITY = 60


@dataclass(frozen=True)
class Answer:
    """A class among the highest scores of a video."""

    name: str
    score: float
    right: bool | None
    """Whether the class is a label of the video; None where nobody knows."""


@dataclass(frozen=True)
class Example:
    """A video of the gallery."""

    video: str
    precision: float
    """Average precision over the classes, 0..1."""
    labels: tuple[str, ...]
    answers: tuple[Answer, ...]
    """Classes with the highest scores, in descending order."""
    strip: tuple[str, ...]
    """Small frames as data URLs; empty where the store has none."""


def best_and_worst(
    table: PredictionTable, store: FrameStore, each: int, top: int
) -> tuple[list[Example], list[Example]]:
    """Best and worst videos of a labelled table, at most `each` of both, each with its `top` answers.

    No video is in both lists, and none whose labels stand above all other classes is among the worst. Of videos with
    the same average precision, the one whose lowest label stands higher above the other classes is the better. Broken
    videos, which no model has seen, stay out, and so do those without a label.
    """
    seen = np.flatnonzero(~table.broken & (table.targets() > 0).any(axis=1))
    if not len(seen):
        return [], []
    scores, targets = table.probabilities[seen], table.targets()[seen]
    precision = metrics.average_precision(scores, targets)
    order = np.lexsort((seen, _margin(scores, targets), precision))
    worst = order[: min(each, (len(order) + 1) // 2, int((precision < 1).sum()))]
    best = order[max(len(worst), len(order) - each) :][::-1]
    made = [[_example(table, store, int(seen[i]), float(precision[i]), top) for i in end] for end in (best, worst)]
    return made[0], made[1]


def strip(store: FrameStore, video: str, frames: int = FRAMES) -> tuple[str, ...]:
    """Evenly spaced small frames of a video as data URLs; none where the store has no such video.

    Raises:
        UserError: a JPEG of the store does not decode.
    """
    if video not in store:
        return ()
    store, count = store.at(_WIDTH), store.frames(video)
    wanted = sorted({(2 * i + 1) * count // (2 * frames) for i in range(frames)})
    return tuple(_data_url(store, video, frame) for frame in store.read(video, wanted))


def _data_url(store: FrameStore, video: str, frame: memoryview) -> str:
    try:
        pixels = jpeg.decode(frame, min_width=_WIDTH)
    except ValueError as error:
        raise store.damaged(video, error) from error
    small = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorsubsampling="420")
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"


def _margin(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Lowest score of a label less the highest of another class (V,); infinite where every class is a label."""
    lowest = np.where(targets > 0, scores, np.inf).min(axis=1)
    margin: np.ndarray = lowest - np.where(targets != 0, -np.inf, scores).max(axis=1)
    return margin


def _example(table: PredictionTable, store: FrameStore, row: int, precision: float, top: int) -> Example:
    labels, unknown = shown(table.labels[row]), hidden(table.labels[row])
    order: Sequence[int] = np.argsort(-table.probabilities[row], kind="stable")[:top].tolist()
    names = [table.classes[i] for i in order]
    right = [None if name in unknown else name in labels for name in names]
    answers = map(Answer, names, table.probabilities[row, order].tolist(), right)
    video = table.videos[row]
    return Example(video, precision, labels, tuple(answers), strip(store, video))
