"""Segments: spans of a video file, each of which is a video by itself.

A row of a manifest may have `start` and `end`, in seconds on the clock of the file, which is 0 where the file begins,
as players show it. The segment [start, end) is what is on the screen in that time: of the frames of the whole, which
stand at the times k / fps of that clock, those from ceil(start * fps) up to ceil(end * fps) - 1.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd

from pipeline.core.errors import UserError

COLUMNS = ("start", "end")
"""Columns of a table that has segments, texts of seconds, as Python writes a float; empty: begin or end of the file."""
LONGEST = 1e9
"""Seconds that no time in a file reaches, some thirty years."""
_CLOCK = re.compile(r"(?:(\d{1,5}):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")
_EXACT = 6
"""Decimals of a frame to which a time is taken: 0.1 * 30 is a little more than 3."""


class Segment(NamedTuple):
    """A span of a video file."""

    start: float = 0.0
    """Seconds, at least 0."""
    end: float = math.inf
    """Seconds, more than `start`; infinite: the end of the file."""

    @classmethod
    def between(cls, start: float | None, end: float | None, where: str) -> Self | None:
        """The segment of two times of which one may be None, the begin or end of the file; None where both are.

        Raises:
            UserError: a time is no number or negative, or the end does not come after the start; begins with `where`.
        """
        if start is None and end is None:
            return None
        segment = cls(start or 0.0, math.inf if end is None else end)
        if not 0 <= segment.start < math.inf:
            raise UserError(f"{where}: the start {segment.start:g} s is no time in a file. Mend it, or leave it empty.")
        if not segment.end > segment.start:
            raise UserError(
                f"{where}: the end {segment.end:g} s does not come after the start {segment.start:g} s. Mend the one "
                "or the other."
            )
        return segment

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Self | None:
        """The segment of a row of a manifest's table, if it is of one."""
        start, end = (row.get(name, "") for name in COLUMNS)
        return cls.between(float(start) if start else None, float(end) if end else None, "the manifest")

    @property
    def suffix(self) -> str:
        """What the id of a segment has after the path of the file, e.g. ``#12.5-20`` or ``#12.5-``."""
        end = "" if math.isinf(self.end) else _plain(self.end)
        return f"#{_plain(self.start)}-{end}"

    def frames(self, fps: int) -> tuple[int, float]:
        """Number of its first frame on the clock of the file, and of the first one after it, which may be infinite."""
        first = math.ceil(round(self.start * fps, _EXACT))
        return first, self.end if math.isinf(self.end) else math.ceil(round(self.end * fps, _EXACT))


def seconds(text: str, where: str) -> float | None:
    """The seconds of a cell, which are a number or HH:MM:SS.mmm (hours may be left out); None where it is blank.

    Raises:
        UserError: it is neither; begins with `where`.
    """
    text = text.strip()
    if not text:
        return None
    if clock := _CLOCK.fullmatch(text):
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < LONGEST:
        raise UserError(f"{where}: {text!r} is no time. Write seconds (75.5) or HH:MM:SS.mmm (00:01:15.500).")
    return number


def texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with empty texts where a row has no time, or without the columns where none has."""
    times = table[list(COLUMNS)]
    return (
        table.drop(columns=list(COLUMNS)) if times.isna().all(axis=None) else table.fillna(dict.fromkeys(COLUMNS, ""))
    )


def columns(manifest: Path, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that a manifest should have of all `fields`: those of segments only where its header has them."""
    header: list[str] = []
    if manifest.is_file():
        with manifest.open("rb") as file:
            header = file.readline().decode("utf-8", "replace").rstrip("\n").split("\t")
    return fields if set(COLUMNS) & set(header) else tuple(name for name in fields if name not in COLUMNS)


def wrong(table: pd.DataFrame) -> pd.Series:
    """Whether the times of each row are no lawful segment."""
    if COLUMNS[0] not in table:
        return pd.Series(False, index=table.index)
    start, end = (pd.to_numeric(table[name].where(table[name] != "", other), errors="coerce") for name, other in _OPEN)
    return ~((start >= 0) & (start < math.inf) & (end > start))


_OPEN = tuple(zip(COLUMNS, ("0", "inf"), strict=True))


def _plain(number: float) -> str:
    """Seconds as a person writes them: 12.5, 20."""
    return f"{number:.15g}"
