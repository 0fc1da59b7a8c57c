"""The videos that the ensemble answers best and worst: a strip of small frames, labels, and its highest scores."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg

from pipeline import metrics
from pipeline.clips.frame_store import FrameStore
from pipeline.core.manifest import LABEL_SEPARATOR
from pipeline.predictions.table import PredictionTable

FRAMES = 5
"""A strip."""
_WIDTH = 150
"""Pixels that a frame is wide at least, if it was: JPEG shrinks by simple fractions while it decodes."""
_QUALITY = 60


@dataclass(frozen=True)
class Answer:
    """One class that a video is answered with, or should be."""

    name: str
    score: float
    right: bool


@dataclass(frozen=True)
class Exhibit:
    """One video of the gallery."""

    video: str
    precision: float
    """Average precision over the classes, 0..1."""
    labels: tuple[str, ...]
    answers: tuple[Answer, ...]
    """The highest scores, in descending order."""
    strip: tuple[str, ...]
    """Frames as data URLs; empty where the store has none."""


def best_and_worst(
    table: PredictionTable, store: FrameStore, each: int, top: int
) -> tuple[list[Exhibit], list[Exhibit]]:
    """At most `each` videos from either end of a labelled table, none in both.

    Of videos with the same average precision, that is better whose lowest label stands higher above the others. Broken
    videos, which no model has seen, stay out.
    """
    seen = np.flatnonzero(~table.broken)
    if not len(seen):
        return [], []
    scores, targets = table.probabilities[seen], table.targets()[seen]
    precision = metrics.average_precision(scores, targets)
    order = np.lexsort((seen, _margin(scores, targets), precision))
    worst = order[: min(each, (len(order) + 1) // 2)]
    best = order[max(len(worst), len(order) - each) :][::-1]
    made = [[_exhibit(table, store, int(seen[i]), float(precision[i]), top) for i in end] for end in (best, worst)]
    return made[0], made[1]


def strip(store: FrameStore, video: str, frames: int = FRAMES) -> tuple[str, ...]:
    """Evenly spaced frames of a video, small, as data URLs; none where the store has none.

    Raises:
        UserError: a JPEG of the store does not decode.
    """
    if video not in store:
        return ()
    count = store.frames(video)
    wanted = sorted({(2 * i + 1) * count // (2 * frames) for i in range(frames)})
    return tuple(_data_url(store, video, jpeg) for jpeg in store.read(video, wanted))


def _data_url(store: FrameStore, video: str, jpeg: memoryview) -> str:
    try:
        pixels = simplejpeg.decode_jpeg(jpeg, min_width=_WIDTH)
    except ValueError as error:
        raise store.damaged(video, error) from error
    small = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorsubsampling="420")
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"


def _margin(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The lowest score of a label less the highest of another class (V,); infinite where every class is a label."""
    lowest = np.where(targets > 0, scores, np.inf).min(axis=1)
    return lowest - np.where(targets > 0, -np.inf, scores).max(axis=1)


def _exhibit(table: PredictionTable, store: FrameStore, row: int, precision: float, top: int) -> Exhibit:
    labels = tuple(table.labels[row].split(LABEL_SEPARATOR))
    order: Sequence[int] = np.argsort(-table.probabilities[row], kind="stable")[:top].tolist()
    answers = [Answer(table.classes[i], float(table.probabilities[row, i]), table.classes[i] in labels) for i in order]
    video = table.videos[row]
    return Exhibit(video, precision, labels, tuple(answers), strip(store, video))
