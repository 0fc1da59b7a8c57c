"""A table with many columns, in parts that each fit a terminal."""

from collections.abc import Sequence

from pipeline.core.markdown import text_table

LEAST = 12
"""Letters that are left at least of what names a row."""


def tables(
    corner: str, names: Sequence[str], columns: Sequence[Sequence[Sequence[str]]], width: int, first: int = 0
) -> list[str]:
    """Lines of tables below each other, an empty one between two; names of rows are cut where they must be.

    Args:
        corner: what stands over the names.
        names: of the R rows.
        columns: groups of columns that stay together, each column its head and R cells.
        width: letters of a line, at most.
        first: number of groups that every table begins with.
    """
    longest = max(map(len, [corner, *names]))
    always = sum(map(_wide, columns[:first]))
    parts: list[list[Sequence[Sequence[str]]]] = []
    left = 0
    for group in columns[first:]:
        if not parts or _wide(group) > left:
            parts.append([*columns[:first]])
            left = width - 4 - longest - always
        parts[-1].append(group)
        left -= _wide(group)
    lines: list[str] = []
    for part in parts or [[*columns[:first]]]:
        room = max(LEAST, width - 4 - sum(map(_wide, part)))
        shown = [cut(name, room) for name in (corner, *names)]
        head, *rows = zip(shown, *(column for group in part for column in group), strict=True)
        lines += ["", *text_table([*head], [[*row] for row in rows])]
    return lines[1:]


def _wide(group: Sequence[Sequence[str]]) -> int:
    return sum(3 + max(map(len, column)) for column in group)


def cut(text: str, most: int) -> str:
    """A text, or its end."""
    return text if len(text) <= most else f"...{text[-(most - 3) :]}"
