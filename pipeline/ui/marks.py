"""Marks of wrong labels: a CSV file of the user's, which no stage writes or reads.

    video,label,mark,comment,when
    val/clip_0001.mp4,sinking,wrong,it rises,2026-01-31T12:00:00Z

`mark` says that a label is `wrong`, or that one is `missing` which the video should have. The file is written anew with
each mark, all or nothing, and read before, so that what was written by hand, or by a second window, is kept.
"""

import csv
import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.core import files, scratch
from pipeline.core.errors import UserError
from pipeline.core.names import FORMULA, UNSAFE

LONGEST_COMMENT = 500
WRONG, MISSING = "wrong", "missing"


class Mark(NamedTuple):
    """One row of the file."""

    video: str
    """Id, as in the manifest."""
    label: str
    """A class."""
    mark: str
    """`WRONG`: it is a label of the video and should not be; `MISSING`: the other way round."""
    comment: str
    when: str
    """UTC, to the second."""


class Marks:
    """The marks in a file, which need not be there yet."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> list[Mark]:
        """All marks, the oldest first.

        Raises:
            UserError: the file is no such table.
        """
        if not self.file.is_file():
            return []
        try:
            header, *rows = csv.reader(io.StringIO(self.file.read_text(encoding="utf-8"), newline=""), strict=True)
            if tuple(header) == Mark._fields:
                return [Mark(*row) for row in rows]
        except (ValueError, TypeError, csv.Error):
            pass
        raise UserError(
            f"{self.file} is no table of marks: its columns are {', '.join(Mark._fields)}. Mend it, or move it away."
        )

    def add(self, video: str, label: str, mark: str, comment: str) -> None:
        """Add a mark, which takes the place of an earlier one of the same video and label.

        Raises:
            UserError: the comment is too long, has control characters, or is a formula.
        """
        if len(comment) > LONGEST_COMMENT or UNSAFE.search(comment):
            raise UserError(f"A comment is one line of at most {LONGEST_COMMENT} characters.")
        if FORMULA.match(comment):
            raise UserError(f"The comment {comment!r} is a formula, which a spreadsheet would run. Say it otherwise.")
        new = Mark(video, label, mark, comment, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        self._change(lambda marks: [*_others(marks, video, label), new])

    def remove(self, video: str, label: str) -> None:
        """Take back the mark of a video and label, if there is one."""
        self._change(lambda marks: _others(marks, video, label))

    def _change(self, change: Callable[[list[Mark]], Iterable[Mark]]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with scratch.piece(self.file.parent, self.file.name):  # a lock: no other window writes meanwhile
            files.write_text(self.file, text(change(self.read())))


def text(marks: Iterable[Mark]) -> str:
    """Marks as CSV."""
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows([Mark._fields, *marks])
    return table.getvalue()


def _others(marks: Iterable[Mark], video: str, label: str) -> list[Mark]:
    return [one for one in marks if (one.video, one.label) != (video, label)]
