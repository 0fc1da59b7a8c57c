"""Tab-separated files: tables that stages hand to one another and that people can open.

UTF-8, one header line, no quoting: cells hold no tab and no line break (`one_line` sees to that).
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.core import checksums, files
from pipeline.core.errors import UserError


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table, all or nothing; the same table gives the same bytes."""
    text = table.to_csv(sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)
    files.write_text(path, text)


def read(path: Path, columns: Sequence[str], stage: str, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that `write` wrote: integers in the columns that `numbers` names, strings in all others.

    Args:
        stage: the stage that makes the file, for messages.

    Raises:
        UserError: the file is missing or damaged (checksums.py), or has other columns.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. `dvc repro {stage}` makes it.")
    checksums.check(path)
    content = path.read_bytes()
    if content.count(b"\t") != content.count(b"\n") * (len(columns) - 1):
        raise UserError(
            f"{path} is cut short, or has other columns than {', '.join(columns)}. "
            f"`dvc repro --force {stage}` makes it again."
        )
    types = {name: int if name in numbers else str for name in columns}
    try:
        table = pd.read_csv(
            io.BytesIO(content), sep="\t", dtype=types, keep_default_na=False, quoting=csv.QUOTE_NONE, encoding="utf-8"
        )
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        raise UserError(f"{path} cannot be read ({error}). `dvc repro {stage}` makes it again.") from error
    if list(table.columns) != list(columns):
        raise UserError(
            f"{path} has the columns {', '.join(table.columns)} instead of {', '.join(columns)}. "
            f"`dvc repro --force {stage}` makes it again."
        )
    return table


def one_line(text: str) -> str:
    """A text made fit for a cell: blanks are merged, and lines joined by " | "."""
    return " | ".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
