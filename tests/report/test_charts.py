import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from pipeline.report import charts
from pipeline.report.charts import Axis, Series

EVIL = "<script>\"&'"


def shapes(markup, kind) -> list[ET.Element]:
    return [e for e in ET.fromstring(str(markup)).iter() if e.tag == kind]  # noqa: S314 - our own


def unit(label: str = "x") -> Axis:
    return Axis(label, 0, 1)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (41.7, 97.4), (-3, 4), (0.001, 0.002), (5, 5)])
def test_an_axis_holds_its_values_and_has_a_handful_of_round_ticks(low, high):
    axis = Axis.over("x", np.array([low, high]))
    assert axis.low <= low
    assert axis.high >= high
    ticks = axis.ticks()
    assert 3 <= len(ticks) <= 8
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick in ticks)


def test_epochs_are_whole():
    assert Axis.over("epoch", np.array([1, 3]), whole=True).ticks() == [1, 2, 3]
    assert Axis.over("epoch", np.array([1, 1]), whole=True).ticks() == [0, 1, 2]


def test_a_log_axis_ticks_at_1_2_5():
    axis = Axis.over("x", np.array([70, 1200]), log=True)
    assert axis.ticks() == [100, 200, 500, 1000]

    low, middle, high = axis.at([100, 300, 900], 0, 1)
    assert middle - low == pytest.approx(high - middle)


def test_a_short_log_axis_has_more_ticks():
    assert Axis.over("x", np.array([14, 31]), log=True).ticks() == [15, 20, 30]
    assert len(Axis.over("x", np.array([22, 31]), log=True).ticks()) >= 2
    assert Axis.over("x", np.array([1, 1e6]), log=True).ticks() == [10.0**n for n in range(7)]


def test_a_line_goes_where_its_points_are():
    drawn = charts.lines("t", unit(), unit("y"), [Series("a", [0, 1], [0, 1])])
    (line,) = (path for path in shapes(drawn, "path") if "line" in path.get("class"))
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", line.get("d").removesuffix("h0")))
    assert x0 < x1
    assert y0 > y1, "up is up"


def test_many_series_stay_apart():
    kinds = [charts.series_class(number) for number in range(14)]
    assert len(set(kinds)) == 14


def test_names_are_escaped_wherever_they_stand():
    dot = Series(EVIL, [0.5], [0.5], [EVIL])
    axes = Axis(EVIL, 0, 1), Axis(EVIL, 0, 1)
    for drawn in (
        charts.lines(EVIL, *axes, [dot]),
        charts.points(EVIL, *axes, [dot]),
        charts.heat_map(EVIL, [EVIL], np.ones((1, 1))),
    ):
        assert "<script" not in drawn
        assert EVIL in "".join(ET.fromstring(str(drawn)).itertext())  # noqa: S314 - our own


@pytest.mark.parametrize("draw", [charts.heat_map, charts.confusion_map])
def test_a_map_of_few_classes_is_not_scaled_up(draw):
    (root,) = re.findall(r"<svg[^>]*>", draw("t", ["a", "b"], np.eye(2, dtype=int)))
    width = re.search(r'viewBox="0 0 (\d+) ', root)[1]
    assert f'style="max-width:{width}px"' in root


def test_a_heat_map_names_every_cell():
    cells = shapes(charts.heat_map("t", ["a", "b"], np.array([[0, 0.5], [0.25, 0]])), "rect")
    assert [cell[0].text for cell in cells] == [
        "a, with a: 0 %",
        "a, with b: 50 %",
        "b, with a: 25 %",
        "b, with b: 0 %",
    ]
    assert [cell.get("fill-opacity") for cell in cells] == ["0.00", "1.00", "0.50", "0.00"]


def test_an_interval_says_its_numbers_to_those_who_cannot_see_it():
    drawn = charts.interval(Axis("", 90, 100), 95, 94, 97)
    assert 'aria-label="95.00, 94.00 to 97.00"' in drawn
    assert shapes(drawn, "circle")[0].get("cx") == "80.0"
