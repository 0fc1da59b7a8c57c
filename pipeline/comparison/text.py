"""A comparison as text for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from pipeline import metrics
from pipeline.comparison.columns import cut, tables
from pipeline.comparison.compare import Comparison, Figure, Flip, Pair
from pipeline.comparison.paired import FEWEST, RESAMPLES, Difference
from pipeline.core.markdown import text_table
from pipeline.core.plural import number_of
from pipeline.core.task import SINGLE_LABEL


def text(found: Comparison, width: int = 100, top: int = 5) -> str:
    """What is printed: the systems, the figures, and of each pair the classes and videos that differ most.

    Args:
        found: what is told.
        width: columns of the terminal; longer names are cut.
        top: rows of each list.
    """
    lines = [*_systems(found, width), "", *_figures(found, width)]
    for pair in found.pairs:
        lines += ["", *_classes(found, pair, top, width), "", *_flips(pair, top, width)]
    return "\n".join(lines)


def _systems(found: Comparison, width: int) -> Iterator[str]:
    for system in found.systems:
        name, *seeds = system.names
        more = f" (and {number_of(len(seeds), 'other seed')}: {', '.join(seeds)})" if seeds else ""
        yield from _wrapped(f"{system.letter}  {name}{more}", width, 3)
        if system.letter != found.systems[0].letter:
            code = [change.name for change in system.changes if change.kind == "code"]
            told = [str(change) for change in system.changes if change.kind != "code"]
            told += [f"code: {', '.join(code)}"] if code else []
            for line in told or [system.title]:
                yield from _wrapped(f"   {line}", width, 7)


def _wrapped(line: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(
        line, width, subsequent_indent=" " * indent, replace_whitespace=False, drop_whitespace=True
    ) or [""]


def _figures(found: Comparison, width: int) -> list[str]:
    """The table of figures, in parts of as many systems as fit the width."""
    first, *others = found.systems
    names = [f"{row.model}, {row.split}{f' {row.protocol}' if found.several else ''}" for row in found.rows]
    columns = [[[first.letter, *(_figure(row.figures[0]) for row in found.rows)]]]
    for number, other in enumerate(others):
        figures = [_figure(row.figures[number + 1]) for row in found.rows]
        differences = [_difference(row.differences[number]) for row in found.rows]
        columns.append([[other.letter, *figures], [f"{other.letter} - {first.letter}", *differences]])
    lines = [f"{metrics.TITLE[found.task]} in percent; the differences with 95 % intervals over videos", ""]
    lines += tables("model, split", names, columns, width, first=1)
    videos = {row.split: row.videos for row in found.rows}
    counts = ", ".join(f"{number_of(count, 'video')} of {split}" for split, count in videos.items())
    return [*lines, *_wrapped(f"{counts}; {RESAMPLES} resamples; * is an interval without zero.", width, 0)]


def _classes(found: Comparison, pair: Pair, top: int, width: int) -> list[str]:
    figure = "recall" if found.task == SINGLE_LABEL else "AP"
    if not pair.classes:
        return [f"No class of {found.split} has {FEWEST} videos, so that none is judged."]
    shown = [one for one in pair.classes if one[2].shown]
    first = found.systems[0].letter
    head = (
        f"Classes, {pair.letter} against {first}: {figure} of {found.model} on {found.split}. {len(shown)} of "
        f"{number_of(len(pair.classes), 'class', 'classes')} differ by intervals that hold for all of them together"
        + (f"; {pair.left_out} with fewer than {FEWEST} videos are left out." if pair.left_out else ".")
    )
    lines = _wrapped(head, width, 0)
    half = pair.classes if len(pair.classes) <= 2 * top else (*pair.classes[:top], *pair.classes[-top:])
    room = width - 50
    rows = [[cut(name, room), str(videos), _difference(each)] for name, videos, each in half]
    return [*lines, *text_table(["class", "videos", f"{pair.letter} - {first}"], rows)]


def _flips(pair: Pair, top: int, width: int) -> list[str]:
    gained, lost = len(pair.gained), len(pair.lost)
    lines = _wrapped(
        f"Videos whose highest class is right in {pair.letter} alone: {gained}; right before and no more: {lost} "
        f"(p = {pair.probability:.2g} by the sign test).",
        width,
        0,
    )
    for title, flips in (("gained", pair.gained), ("lost", pair.lost)):
        if flips:
            lines += text_table([title, "labels", "before", "after"], _cells(flips[:top], width))
            if len(flips) > top:
                lines.append(f"and {len(flips) - top} more")
    return lines


def _cells(flips: Sequence[Flip], width: int) -> list[list[str]]:
    room = (width - 13) // 4
    return [[cut(text, room) for text in (one.video, one.labels, one.before, one.after)] for one in flips]


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.mean:.2f}" + ("" if figure.spread is None else f" ±{figure.spread:.2f}")


def _difference(one: Difference | None) -> str:
    if one is None:
        return ""
    return f"{one.value:+z.2f} [{one.low:+z.2f}, {one.high:+z.2f}]{' *' if one.shown else '  '}"
