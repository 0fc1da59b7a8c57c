"""Small charts as SVG text: lines, points, a heat map. Numbers in, markup out; colours and fonts are the page's.

They are ours and no library's, since they stand in the page before any script runs, are read where there is none, and
take some kilobytes. uPlot has 50 kB and neither intervals nor maps; Vega-Lite and Plotly have both, and a megabyte or
more in every page. Who wants to draw with one finds the numbers as CSV beside the page.

A chart names CSS classes (`s0`..`s7`, `grid`, `tick`), never a colour, so that one style sheet serves light and dark.
Coordinates have one decimal: the same numbers give the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 430, 12, 236
_DECADES = 1000
"""Span of a log axis above which only powers of ten are marked."""
_FEWEST = 3
"""Marks of a log axis below which more are set: of one alone nobody can read a value."""
HUES = 8
"""Number of hues; further series begin anew with another dash."""


@dataclass(frozen=True)
class Series:
    """One line or set of points."""

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    names: Sequence[str] = ()
    """Name of each point, shown when it is pointed at."""
    strong: bool = False
    """Whether it is drawn in the colour of text instead of a hue."""
    low: Sequence[float] | np.ndarray = ()
    """Lower end of each point's interval."""
    high: Sequence[float] | np.ndarray = ()
    """Upper end."""

    def hue(self, number: int) -> str:
        """CSS classes of the series, which is the chart's `number`-th."""
        return "fused" if self.strong else series_class(number)


@dataclass(frozen=True)
class Axis:
    """An axis, from values to coordinates."""

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    """Whether ticks stand at whole numbers only."""

    @classmethod
    def over(cls, label: str, values: np.ndarray, log: bool = False, whole: bool = False) -> "Axis":
        """An axis that holds all values and ends on round ones."""
        low, high = float(values.min()), float(values.max())
        if log:
            ends = (max(1.0, low / 1.15), max(high, low + 1)) if low >= 1 or low <= 0 else (low / 1.15, high)
            return cls(label, ends[0], max(ends[1], 2 * ends[0]) * 1.15, log=True)
        if low == high:
            low, high = low - 1, high + 1
        step = _step(low, high, whole)
        ends = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        return cls(label, *ends, whole=whole)

    def at(self, values: Sequence[float] | np.ndarray, start: float, end: float) -> np.ndarray:
        """Coordinates of values, between `start` and `end`."""
        low, high, found = self.low, self.high, np.asarray(values, dtype=np.float64)
        if self.log:
            low, high, found = math.log(low), math.log(high), np.log(np.maximum(found, self.low))
        return start + (found - low) / (high - low) * (end - start)

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found: list[float] = []
            for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))[self.high / self.low <= _DECADES :]:
                marks = [digit * 10.0**decade for decade in decades for digit in digits]
                found = [value for value in marks if self.low <= value <= self.high]
                if len(found) >= _FEWEST:
                    break
            return found or [round(self.low)]
        step = _step(self.low, self.high, self.whole)
        return [i * step for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def lines(title: str, x: Axis, y: Axis, series: Sequence[Series], diagonal: bool = False) -> Markup:
    """Line chart; `diagonal` also draws where x equals y. Series may differ in length; one point makes a dot."""
    drawn = [_frame(x, y)]
    if diagonal:
        (x0, x1), (y0, y1) = x.at([x.low, x.high], _LEFT, _RIGHT), y.at([x.low, x.high], _BOTTOM, _TOP)
        drawn.append(Markup('<path class="diagonal" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(x0, y0, x1, y1))
    for number, one in enumerate(series):
        places = [f"{across:.1f} {down:.1f}" for across, down in _places(x, y, one)]
        if len(places) == 1:
            drawn.append(_dot(one, number, places[0], f"{one.name}: {one.y[0]:.4g}"))
            continue
        values = ",".join(f"{across:.4g} {up:.4g}" for across, up in zip(one.x, one.y, strict=True))
        line = Markup('<path class="line {}" data-of="{}" data-values="{}" d="M{}h0"><title>{}</title></path>')
        drawn.append(line.format(one.hue(number), one.name, values, "L".join(places), one.name))
    return _svg(title, WIDTH, HEIGHT, drawn)


def points(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> Markup:
    """Scatter chart; each point has its name and its y as a title."""
    drawn = [_frame(x, y)]
    for number, one in enumerate(series):
        for (across, down), name, value in zip(_places(x, y, one), one.names, one.y, strict=True):
            drawn.append(_dot(one, number, f"{across:.1f} {down:.1f}", f"{name}: {value:.1f}"))
    return _svg(title, WIDTH, HEIGHT, drawn)


def intervals(title: str, x: Axis, y: Axis, series: Sequence[Series], unit: str) -> Markup:
    """Scatter chart with whiskers, the points of a series joined by a thin line.

    The title of a point says its values, that of x in `unit`.
    """
    drawn = [_frame(x, y)]
    for number, one in enumerate(series):
        places, ends = _places(x, y, one), [y.at(end, _BOTTOM, _TOP) for end in (one.low, one.high)]
        mark = Markup('<path class="{} {}" data-of="{}" d="M{}"/>')
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
        drawn += [mark.format("line thin", one.hue(number), one.name, path)] if len(places) > 1 else []
        for place, low, high in zip(places, *ends, strict=True):
            path = f"{place[0]:.1f} {low:.1f}V{high:.1f}"
            drawn.append(mark.format("line thin", one.hue(number), one.name, path))
        values = zip(places, one.names, one.x, one.y, one.low, one.high, strict=True)
        for (across, down), name, cost, value, low, high in values:
            told = f"{one.name}, {name}: {value:.2f} ({low:.2f} to {high:.2f}), {cost:.3g} {unit}"
            drawn.append(_dot(one, number, f"{across:.1f} {down:.1f}", told))
    return _svg(title, WIDTH, HEIGHT, drawn)


def heat_map(title: str, names: Sequence[str], shares: np.ndarray) -> Markup:
    """Heat map of shares (N, N), 0..1, rows by columns; the largest has the full colour."""
    cell, letter = 22, 6.4
    left = top = 14 + letter * max(len(_short(name)) for name in names)
    most = max(float(shares.max()), 1e-9)
    drawn = []
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        label = Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>')
        drawn.append(label.format(left - 6, top + middle + 4, _short(name)))
        across = Markup('<text class="tick" transform="translate({:.1f} {:.1f}) rotate(-55)">{}</text>')
        drawn.append(across.format(left + middle + 3, top - 6, _short(name)))
        for j, other in enumerate(names):
            place = Markup('<rect class="heat" x="{:.1f}" y="{:.1f}" width="{}" height="{}" fill-opacity="{:.2f}">')
            drawn.append(place.format(left + j * cell, top + i * cell, cell - 1, cell - 1, shares[i, j] / most))
            drawn.append(Markup("<title>{}, with {}: {:.0f} %</title></rect>").format(name, other, 100 * shares[i, j]))
    return _map(title, left + cell * len(names), top + cell * len(names), drawn)


def confusion_map(title: str, names: Sequence[str], counts: np.ndarray) -> Markup:
    """Heat map of a confusion matrix (N, N): true class by answer, the colour its share of the row, counts in cells.

    With more than 24 classes the counts stand in the titles of the cells alone.
    """
    cell, letter = (26, 6.4) if len(names) <= 24 else (14, 6.4)
    left = top = 26 + letter * max(len(_short(name)) for name in names)
    drawn = [
        Markup('<text class="label" x="{:.1f}" y="10">answered</text>').format(left),
        Markup('<text class="label" x="0" y="{:.1f}">true</text>').format(top - 6),
    ]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        label = Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>')
        drawn.append(label.format(left - 6, top + middle + 4, _short(name)))
        across = Markup('<text class="tick" transform="translate({:.1f} {:.1f}) rotate(-55)">{}</text>')
        drawn.append(across.format(left + middle + 3, top - 6, _short(name)))
        for j, other in enumerate(names):
            place = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" fill-opacity="{:.2f}">')
            kind = "heat right" if i == j else "heat"
            drawn.append(place.format(kind, left + j * cell, top + i * cell, cell - 1, cell - 1, shares[i, j]))
            said = Markup("<title>{}, answered with {}: {} ({:.0f} %)</title></rect>")
            drawn.append(said.format(name, other, counts[i, j], 100 * shares[i, j]))
            if counts[i, j] and cell > 20:
                number = Markup('<text class="count" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>')
                drawn.append(number.format(left + j * cell + cell / 2, top + middle + 4, counts[i, j]))
    return _map(title, left + cell * len(names), top + cell * len(names), drawn)


def interval(axis: Axis, mean: float, low: float, high: float, zero: bool = False) -> Markup:
    """Mean and interval as a dot with whiskers, for a cell of a table whose rows share the axis; `zero` marks 0."""
    nought, start, middle, end = axis.at([0, low, mean, high], 6, 154)
    line = Markup('<path class="grid" d="M{:.1f} 0L{:.1f} 16"/>').format(nought, nought) if zero else ""
    mark = Markup(
        '<svg class="interval" viewBox="0 0 160 16" role="img" aria-label="{:.2f}, {:.2f} to {:.2f}">{}'
        '<path class="whisker" d="M{:.1f} 8L{:.1f} 8"/><circle cx="{:.1f}" cy="8" r="4"/></svg>'
    )
    return mark.format(mean, low, high, line, start, end, middle)


def series_class(number: int) -> str:
    """CSS classes of a series by its number: its hue, and its dash after the hues are used up."""
    return f"s{number % HUES} dash{number // HUES % 3}"


def _places(x: Axis, y: Axis, series: Series) -> list[tuple[float, float]]:
    """Coordinates of the points of a series."""
    return list(zip(x.at(series.x, _LEFT, _RIGHT), y.at(series.y, _BOTTOM, _TOP), strict=True))


def _dot(series: Series, number: int, place: str, told: str) -> Markup:
    """A point at `place`, "x y", which says `told`."""
    dot = Markup('<circle class="dot {}" data-of="{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>')
    return dot.format(series.hue(number), series.name, *place.split(), told)


def _frame(x: Axis, y: Axis) -> Markup:
    """Grid lines, ticks and labels of both axes."""
    drawn = []
    for value, down in zip(y.ticks(), y.at(y.ticks(), _BOTTOM, _TOP), strict=True):
        drawn.append(Markup('<path class="grid" d="M{} {:.1f}L{} {:.1f}"/>').format(_LEFT, down, _RIGHT, down))
        text = Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>')
        drawn.append(text.format(_LEFT - 6, down + 4, round(value, 6)))
    for value, across in zip(x.ticks(), x.at(x.ticks(), _LEFT, _RIGHT), strict=True):
        text = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>')
        drawn.append(text.format(across, _BOTTOM + 18, round(value, 6)))
    middle = (_LEFT + _RIGHT) / 2
    label = Markup('<text class="label" x="{:.0f}" y="{}" text-anchor="middle">{}</text>')
    drawn.append(label.format(middle, HEIGHT - 6, x.label))
    turned = Markup('<text class="label" transform="translate(11 {:.0f}) rotate(-90)" text-anchor="middle">{}</text>')
    drawn.append(turned.format((_TOP + _BOTTOM) / 2, y.label))
    return Markup("").join(drawn)


def _map(title: str, right: float, bottom: float, drawn: Sequence[Markup]) -> Markup:
    """A map whose cells end at `right` and `bottom`; never wider than drawn, or few classes would have huge letters."""
    return _svg(title, max(right + 50, 440), bottom + 4, drawn, scaled_up=False)


def _svg(title: str, width: float, height: float, drawn: Sequence[Markup], scaled_up: bool = True) -> Markup:
    limit = "" if scaled_up else Markup(' style="max-width:{:.0f}px"').format(width)
    head = Markup('<svg class="chart"{} viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">')
    return head.format(limit, width, height, title) + Markup("").join(drawn) + Markup("</svg>")


def _short(name: str, most: int = 16) -> Markup:
    return escape(name if len(name) <= most else f"{name[: most - 1]}…")


def _step(low: float, high: float, whole: bool) -> float:
    """A round step that gives about five ticks."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * (1 - 1e-9))
    return float(math.ceil(step)) if whole else step
