"""Submission file of the challenge: one line a test video, in manifest order, with its best classes and their scores.

A video that gave no frame is answered like any other: its members hold the class prior, and the ensemble their mean.
`pipeline submission` checks a file.
"""

import csv
import io
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.core.errors import UserError
from pipeline.predictions.table import PredictionTable

_DECIMAL = re.compile(r"[0-9]*\.?[0-9]+(e-?[0-9]+)?", re.ASCII)
_SHOWN = 80
"""Characters of a cell that a message shows."""


def text(table: PredictionTable, top: int) -> str:
    """Content of the file: each video's id, then its `top` best classes with their scores, 0..1 with six decimals.

    Of classes that tie, the first of the class list comes first.
    """
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
    """Check that the challenge can score a submission: every video once, in order, with its ranked classes.

    Raises:
        UserError: it cannot; the message names the line and what is wrong with it.
    """
    if not file.is_file():
        raise UserError(f"{file} does not exist. `dvc repro ensemble` makes it.")
    (_, head), *rows = _lines(file) or [(1, [])]
    count, known = len(head) // 2, set(classes)
    if not 1 <= count <= len(known) or head != _header(count):
        raise UserError(
            f"{file}, line 1: the header must be video,class_1,score_1 and so on, at most one pair a class."
        )
    for (line, row), video in zip(rows, videos, strict=False):
        _check_row(row, video, known, count, where=f"{file}, line {line}")
    if len(rows) != len(videos):
        raise UserError(f"{file} answers {len(rows)} videos, and the test split has {len(videos)}.")


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """Rows of a CSV file, each with the number of its last line."""
    try:
        reader = csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""), strict=True)
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8: {error}.") from error
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}.") from error


def _check_row(row: Sequence[str], video: str, classes: set[str], count: int, where: str) -> None:
    if not row or row[0] != video:
        raise UserError(
            f"{where}: the video is {_quoted(row[0] if row else '')}; in manifest order it must be {video!r}."
        )
    names = row[1::2]
    if len(row) != 1 + 2 * count or len(set(names)) != count:
        raise UserError(f"{where}: {video} must have {count} different classes, each followed by its score.")
    for name in names:
        if name not in classes:
            raise UserError(f"{where}: {video} has the class {_quoted(name)}, which the class list does not know.")
    for cell in row[2::2]:
        if not _DECIMAL.fullmatch(cell) or float(cell) > 1:
            raise UserError(f"{where}: {video} has the score {_quoted(cell)}, which is no decimal number in 0..1.")
    if any(float(a) < float(b) for a, b in pairwise(row[2::2])):
        raise UserError(f"{where}: the scores of {video} must descend: {', '.join(row[2::2])}.")


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}...")


def _header(count: int) -> list[str]:
    return ["video", *(f"{what}_{i}" for i in range(1, count + 1) for what in ("class", "score"))]
