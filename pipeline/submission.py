"""The file for the challenge: one line a test video, in manifest order; its best classes, each with its score.

    python -m pipeline.submission data/ensemble/submission.csv data/manifest.tsv data/classes.txt     checks one

A video that gave no frame is answered like any other: its members hold the class prior, and so does their mean.
"""

import csv
import io
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable
from pipeline.records import Manifest


def text(table: PredictionTable, top: int) -> str:
    """The id, then the `top` best classes with their scores; of classes that tie, the first of the class list."""
    count = min(top, len(table.classes))
    order = np.argsort(-table.probabilities, axis=1, kind="stable")[:, :count]
    scores = np.take_along_axis(table.probabilities, order, axis=1)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_header(count))
    for video, best, values in zip(table.videos, order.tolist(), scores.tolist(), strict=True):
        cells = [cell for i, value in zip(best, values, strict=True) for cell in (table.classes[i], f"{value:.6f}")]
        writer.writerow([video, *cells])
    return out.getvalue()


def check(file: Path, videos: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse a submission that the challenge could not score: every video once, in order, with its ranked classes.

    Raises:
        BadInput: names the line and what is wrong with it.
    """
    if not file.is_file():
        raise BadInput(f"{file} does not exist. `dvc repro ensemble` makes it.")
    head, *rows = [*csv.reader(io.StringIO(file.read_text(encoding="utf-8")))] or [[]]
    count, known = len(head) // 2, set(classes)
    if not 1 <= count <= len(known) or head != _header(count):
        raise BadInput(f"{file}, line 1: the header must be video,class_1,score_1 and so on, at most one pair a class.")
    for number, (row, video) in enumerate(zip(rows, videos, strict=False), start=2):
        _check_row(row, video, known, count, where=f"{file}, line {number}")
    if len(rows) != len(videos):
        raise BadInput(f"{file} answers {len(rows)} videos, and the test split has {len(videos)}.")


def _check_row(row: Sequence[str], video: str, classes: set[str], count: int, where: str) -> None:
    if not row or row[0] != video:
        raise BadInput(f"{where}: the video is {row[0] if row else ''!r}; in manifest order it must be {video!r}.")
    names = row[1::2]
    if len(row) != 1 + 2 * count or len(set(names)) != count:
        raise BadInput(f"{where}: {video} must have {count} different classes, each followed by its score.")
    for name in names:
        if name not in classes:
            raise BadInput(f"{where}: {video} has the class {name!r}, which the class list does not know.")
    try:
        scores = [float(cell) for cell in row[2::2]]
    except ValueError as error:
        raise BadInput(f"{where}: {video} has a score that is no number ({error}).") from error
    if not np.isfinite(scores).all() or any(a < b for a, b in pairwise(scores)):
        raise BadInput(f"{where}: the scores of {video} must be finite and descend: {', '.join(row[2::2])}.")


def _header(count: int) -> list[str]:
    return ["video", *(f"{what}_{i}" for i in range(1, count + 1) for what in ("class", "score"))]


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m pipeline.submission SUBMISSION MANIFEST CLASSES")
    submitted, manifest, names = map(Path, sys.argv[1:])
    try:
        test = Manifest.read(manifest, names).split("test")
        check(submitted, test.videos, test.classes)
    except BadInput as error:
        sys.exit(f"error: {error}")
    print(f"{submitted}: {len(test)} videos, in order, each with its ranked classes")
