"""What a chart tells under the pointer and at the keys, and what a legend does, in a browser."""

import json

import pandas as pd
import pytest

from pipeline.report import curves
from pipeline.report.inputs import Inputs
from tests.support.browser import in_browser, play

pytestmark = pytest.mark.slow  # it starts a browser

KEYS = """
    const type = (chart, key) => chart.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    const at = (chart, x, y) =>
        chart.dispatchEvent(new PointerEvent("pointerdown", {clientX: x, clientY: y, bubbles: true}));
    const tipOf = chart => chart.parentElement.querySelector(".tip");
"""


@in_browser
def test_arrow_keys_go_from_value_to_value_and_from_series_to_series(done, tmp_path):
    script = f"""{KEYS}
        const chart = all("#training svg.chart")[0], told = [], tip = tipOf(chart);
        for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "End"]) {{
            type(chart, key); told.push(tip.textContent);
        }}
        type(chart, "Escape");
        return [told, tip.hidden, chart.tabIndex];
    """
    told, hidden, reached = json.loads(play(done[2], script, tmp_path))
    rows = curves.table(Inputs.read(done[0])).set_index(["model", "epoch"])["figure"]
    places = [("tsn", 1), ("tsn", 2), ("tsn", 3), ("tsn", 3), ("tin", 3), ("tin", 2), ("tin", 3)]
    assert told == [f"{model}: val sample mAP, percent {rows[model, at]:.4g}, epoch {at}" for model, at in places]
    assert (hidden, reached) == (True, 0)


@in_browser
def test_the_pointer_finds_the_nearest_value_and_far_from_all_there_is_none(done, tmp_path):
    script = f"""{KEYS}
        const chart = all("#costs svg.chart")[0], tip = tipOf(chart);
        const dots = [...chart.querySelectorAll("circle.dot")], told = [];
        let far = 0;
        for (const dot of dots) {{
            const place = dot.getBoundingClientRect();
            at(chart, place.x + place.width / 2 + 1, place.y + place.height / 2 + 1);
            told.push(tip.textContent);
            const under = tip.getBoundingClientRect();
            far = Math.max(far, Math.abs(under.top - place.bottom));
        }}
        const box = chart.getBoundingClientRect();
        at(chart, box.x + 2, box.y + box.height - 2);
        return [told, far, tip.hidden];
    """
    told, far, hidden = json.loads(play(done[2], script, tmp_path))
    found = pd.read_csv(done[1] / "costs.csv")
    names = ("member", "protocol", "figure", "low", "high", "gmacs_video")
    expected = {
        f"{member}, {protocol}: {figure:.2f} ({low:.2f} to {high:.2f}), {cost:.3g} GMACs"
        for member, protocol, figure, low, high, cost in found[list(names)].itertuples(index=False)
    }
    assert expected <= {*told}
    assert len(told) == len(expected) + 1  # the ensemble's, which lies where that of its only member does
    assert far < 20, "a value stands below its mark"
    assert hidden


@in_browser
def test_a_name_of_the_legend_singles_its_series_out_until_it_is_pressed_again(done, tmp_path):
    script = """
        const button = all("#training .legend button").find(one => one.innerText === "tin");
        const faded = () => all("#training svg.chart .faded").map(one => one.dataset.of);
        button.click(); const others = faded(), said = button.ariaPressed;
        const drawn = all("#training svg.chart [data-of=tsn]").length;
        button.click(); return [others, drawn, said, faded(), button.ariaPressed];
    """
    others, drawn, pressed, none, released = json.loads(play(done[2], script, tmp_path))
    assert drawn >= 2  # in all charts of the section
    assert others == ["tsn"] * drawn
    assert none == []
    assert (pressed, released) == ("true", "false")
