"""What the page does when it is touched, in a browser; figures are scikit-learn's."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from pipeline.predictions.table import PredictionTable
from pipeline.report import class_detail
from pipeline.report.embedded import in_turn
from pipeline.report.page import PAGE
from tests.support.browser import in_browser
from tests.support.devtools import Tab
from tests.support.html_page import DASH

slow = pytest.mark.slow  # they start a browser


@pytest.fixture
def fused(done) -> PredictionTable:
    return PredictionTable.read(done[0].ensemble / "test.parquet")


def test_hits_at_every_threshold_are_scikit_learns(fused):
    found = class_detail.details(fused, most=100)["classes"]
    seen = ~fused.broken
    scores, targets = fused.probabilities[seen].astype(np.float64), fused.targets()[seen]
    assert len(found) == targets.any(axis=0).sum()
    for name, one in found.items():
        column = fused.classes.index(name)
        assert one["positives"] == targets[:, column].sum()
        for step in range(0, 101, 5):
            answered = scores[:, column] >= step / 100
            hits, all_found = one["hits"][step], one["found"][step]
            assert all_found == answered.sum()
            assert hits / max(1, all_found) == pytest.approx(
                precision_score(targets[:, column], answered, zero_division=0)
            )
            assert hits / one["positives"] == pytest.approx(recall_score(targets[:, column], answered))


def test_misses_and_false_alarms_are_the_worst():
    scores = np.array([[0.9], [0.2], [0.7], [0.1], [0.6]], np.float32)
    labels = ("a", "a", "", "a", "")
    table = PredictionTable(tuple("vwxyz"), np.array([False] * 4 + [True]), labels, ("a",), scores, {})
    (one,) = class_detail.details(table, most=1)["classes"].values()
    assert [row[0] for row in one["missed"]] == ["y", "w", "v"]
    assert one["alarms"] == [["x", 0.7, ""]]


def test_a_score_at_the_threshold_is_a_find():
    scores = np.array([[0.5], [0.25]], np.float32)
    table = PredictionTable(("x", "y"), np.zeros(2, bool), ("a", "a"), ("a",), scores, {})
    hits = class_detail.details(table, most=1)["classes"]["a"]["hits"]
    assert (hits[25], hits[26], hits[50], hits[51]) == (2, 1, 1, 0)


def test_of_many_labels_some_are_named():
    labels = ("a;b;c;d;e;f", "a;b")
    table = PredictionTable(("x", "y"), np.zeros(2, bool), labels, tuple("abcdef"), np.eye(2, 6, dtype=np.float32), {})
    rows = class_detail.details(table, most=1)["classes"]["a"]["missed"]
    assert [row[2] for row in rows] == ["a;b", "a;b;c;d and 2 more"]


def test_of_many_classes_those_with_most_videos_are_told():
    targets = ("b", "b", "a", "c", "c", "c")
    table = PredictionTable(tuple("uvwxyz"), np.zeros(6, bool), targets, ("a", "b", "c", "d"), np.eye(6, 4), {})
    assert list(class_detail.details(table, most=2)["classes"]) == ["c", "b"]
    assert list(class_detail.details(table, most=9)["classes"]) == ["c", "b", "a"]


def test_frames_of_the_worst_of_each_class_come_before_those_of_the_next():
    def listed(*videos: str) -> list[list[str]]:
        return [[video] for video in videos]

    classes = {
        "a": {"missed": listed("v1", "v2"), "alarms": listed("v3")},
        "b": {"missed": listed("v4"), "alarms": listed("v1", "v5")},
    }
    assert list(in_turn(classes)) == ["v1", "v3", "v4", "v1", "v2", "v5"]


@pytest.fixture(scope="module")
def tab(done, tmp_path_factory):
    """The page in a browser, under its own policy."""
    with Tab(done[1] / PAGE, tmp_path_factory.mktemp("profile")) as opened:
        yield opened
        assert opened.console == []


@slow
@in_browser
def test_a_head_sorts_by_number_down_then_up_and_the_unknown_stand_last(tab):
    down, falling, up, rising = tab.run("""
        const table = all("#classes table.of-classes")[1], head = table.tHead.rows[0].cells[1];
        all("#classes details")[0].open = true;
        const cells = () => [...table.tBodies[0].rows].map(row => row.cells[1].innerText);
        press(head); const down = cells(), said = head.ariaSort;
        press(head); return [down, said, cells(), head.ariaSort];
    """)
    assert down[-2:] == up[-2:] == [DASH] * 2
    numbers = [float(cell) for cell in down[:-2]]
    assert (falling, rising) == ("descending", "ascending")
    assert numbers == sorted(numbers, reverse=True)
    assert [float(cell) for cell in up[:-2]] == sorted(numbers)
    assert len(set(numbers)) > 3


@slow
@in_browser
def test_a_table_with_two_rows_of_heads_sorts_by_what_stands_over_one_column(tab, done):
    shown = json.loads(done[0].metrics.read_text())
    heads, names, said, others = tab.run("""
        const table = all("#models table")[0], sorts = [...table.tHead.querySelectorAll("th.sorts")];
        const head = sorts.filter(one => one.innerText === "dense")[1];  // of test
        press(head);
        const names = [...table.tBodies[0].rows].map(row => row.cells[0].innerText);
        const others = sorts.filter(one => one.ariaSort).length;
        press(sorts[0]);
        return [sorts.map(one => one.innerText), names, head.ariaSort, others];
    """)
    assert heads == ["model", *["clip", "dense", "multiscale"] * 2]
    figures = {"random answers": shown["chance"]["test"], "class prior": shown["prior"]["test"]}
    figures |= {member: shown[member]["test_dense"] for member in ("tsn", "tin")}
    assert names == sorted(figures, key=lambda name: -figures[name])
    assert (said, others) == (None, 1)


@slow
@in_browser
def test_what_stands_below_a_figure_does_not_sort_it(tab):
    order = tab.run("""
        const rows = [[9, "5 to 99"], [10, "0 to 20"], [-3, ""]].map(([value, ends]) => make("tr", {},
            make("td", {}, String(value), ends ? make("small", {}, ends) : "")));
        return rows.map(row => valueOf(row, 0));
    """)
    assert order == [9, 10, -3]


@slow
@in_browser
def test_a_filter_leaves_the_rows_with_all_its_words(tab):
    shown, said = tab.run("""
        const field = all("#classes input[type=search]")[0];
        const table = field.parentElement.nextElementSibling.querySelector("table");
        enter(field, "PLA in");
        const shown = [...table.tBodies[0].rows].filter(row => !row.hidden);
        const names = shown.map(row => row.cells[0].innerText), said = all("#classes output")[0].value;
        enter(field, "");
        return [names, said];
    """)
    assert (shown, said) == (["plain"], "1 of 8")


@slow
@in_browser
def test_a_class_opens_with_strips_and_its_threshold_moves(tab, fused):
    opened, name, said, strips, played = tab.run("""
        press(all("#classes table.of-classes th").find(one => one.dataset.name === "plain"));
        const dialog = document.getElementById("class");
        enter(dialog.querySelector("input"), 30);
        const found = [dialog.open, dialog.querySelector("h2").innerText, dialog.querySelector("output").value,
            [...dialog.querySelectorAll("li img")].filter(one => one.src.startsWith("data:image/jpeg")).length,
            [...dialog.querySelectorAll("li button")].map(one => one.ariaLabel)];
        dialog.close();
        return found;
    """)
    column, seen = fused.classes.index("plain"), ~fused.broken
    target, score = fused.targets()[seen, column], fused.probabilities[seen, column].astype(np.float64)
    answered = score >= 0.3
    scores = [100 * of(target, answered) for of in (precision_score, recall_score, f1_score)]
    assert (opened, name) == (True, "plain")
    assert said.startswith("threshold 0.30: precision {:.1f} %, recall {:.1f} %, F1 {:.1f} %; ".format(*scores))
    hits = int((target * answered).sum())
    assert said.endswith(f"{hits} of {target.sum()} found, {answered.sum() - hits} false alarms")
    videos = np.array(fused.videos, object)[seen]
    assert strips == len(videos), "each has frames, and is a miss or a false alarm"
    expected = [*sorted(np.flatnonzero(target), key=lambda v: score[v])]
    expected += sorted(np.flatnonzero(target == 0), key=lambda v: -score[v])
    assert played == [f"Play {videos[v]}" for v in expected]


@slow
@in_browser
def test_hostile_names_are_text_when_a_class_opens(tab, done):
    images, titles, opened = tab.run("""
        const heads = all("#classes table.of-classes th.opens"), dialog = document.getElementById("class");
        let images = 0, titles = 0;
        for (const head of heads) {
            press(head);
            images += dialog.querySelectorAll("img:not([src^='data:image/jpeg'])").length;
            titles += dialog.querySelectorAll("h2").length;
            dialog.close();
            await new Promise(done => setTimeout(done, 10));
        }
        return [images, titles, heads.length];
    """)
    assert (images, titles) == (0, opened)
    assert opened == 16  # the classes that have videos, in both lists
    assert (done[1] / PAGE).stat().st_size < 10_000_000


@slow
@in_browser
def test_what_opens_is_reached_by_keys_and_gives_the_focus_back(tab):
    tab.run("""
        const opener = all("#classes th.opens button")[0];
        opener.focus({focusVisible: true});
    """)
    said = "return [document.activeElement.ariaExpanded ?? document.activeElement.getAttribute('aria-expanded'), "
    said += "document.getElementById('class').open]"
    assert tab.run(said) == ["false", False]
    tab.key("Enter", "\r")
    opener = "all('#classes th.opens button')[0].getAttribute('aria-expanded')"
    assert tab.run(f"return [{opener}, document.getElementById('class').open]") == ["true", True]
    assert tab.run("""
        const dialog = document.getElementById("class");
        const title = document.getElementById(dialog.getAttribute("aria-labelledby"));
        return title === dialog.querySelector("h2");
    """)
    tab.key("Escape")
    tab.run("await new Promise(done => setTimeout(done, 50))")
    assert tab.run(said) == ["false", False]


@slow
@in_browser
def test_the_whole_matrix_opens_and_its_cells_speak(tab, done, fused):
    listed = pd.read_csv(done[1] / "confusions.csv", keep_default_na=False).iloc[0]
    place = [fused.classes.index(listed[name]) for name in ("label", "instead")]
    held = int(fused.targets()[~fused.broken, place[0]].sum())
    drawn = tab.run("""
        press(all("[data-matrix]")[0]);
        const canvas = all("#matrix canvas")[0];
        canvas.focus();
        return [canvas.width > 100, all("#matrix img").length, all("#matrix output")[0].value];
    """)
    assert drawn == [True, 0, "Point at a cell, or move by the arrow keys."]
    tab.key("ArrowDown")
    for name, steps in zip(("ArrowDown", "ArrowRight"), place, strict=True):
        for _ in range(steps):
            tab.key(name)
    said = tab.run(
        "const said = all('#matrix output')[0].value; document.getElementById('matrix').close(); return said;"
    )
    start = f"{listed['label']}, answered with {listed['instead']}: "
    assert said.startswith(start)
    times, of = said.removeprefix(start).split(" (")[0].split(" of ")
    assert float(times) == pytest.approx(listed["times"])
    assert int(of) == held
    assert said.endswith(f"({100 * listed['times'] / held:.1f} %)")
