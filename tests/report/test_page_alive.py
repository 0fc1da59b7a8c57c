"""What the page does when it is touched, in a browser; figures are scikit-learn's."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from pipeline.predictions.table import PredictionTable
from pipeline.report import class_detail
from pipeline.report.page import PAGE
from tests.support.browser import in_browser, play
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


@slow
@in_browser
def test_a_head_sorts_by_number_down_then_up_and_the_unknown_stand_last(done, tmp_path):
    script = """
        const table = all("#classes table.of-classes")[1], head = table.tHead.rows[0].cells[1];
        all("#classes details")[0].open = true;
        const cells = () => [...table.tBodies[0].rows].map(row => row.cells[1].innerText);
        press(head); const down = cells(), said = head.ariaSort;
        press(head); return [down, said, cells(), head.ariaSort];
    """
    down, falling, up, rising = json.loads(play(done[2], script, tmp_path))
    assert down[-2:] == up[-2:] == [DASH] * 2
    numbers = [float(cell) for cell in down[:-2]]
    assert (falling, rising) == ("descending", "ascending")
    assert numbers == sorted(numbers, reverse=True)
    assert [float(cell) for cell in up[:-2]] == sorted(numbers)
    assert len(set(numbers)) > 3


@slow
@in_browser
def test_a_filter_leaves_the_rows_with_all_its_words(done, tmp_path):
    script = """
        const field = all("#classes input[type=search]")[0];
        const table = field.parentElement.nextElementSibling.querySelector("table");
        field.value = "PLA in"; field.dispatchEvent(new Event("input"));
        const shown = [...table.tBodies[0].rows].filter(row => !row.hidden);
        return [shown.map(row => row.cells[0].innerText), all("#classes output")[0].value];
    """
    assert json.loads(play(done[2], script, tmp_path)) == [["plain"], "1 of 8"]


@slow
@in_browser
def test_a_class_opens_and_its_threshold_moves(done, fused, tmp_path):
    script = """
        press(all("#classes table.of-classes th").find(one => one.dataset.name === "plain"));
        const dialog = document.getElementById("class"), slider = dialog.querySelector("input");
        slider.value = 30; slider.dispatchEvent(new Event("input"));
        return [dialog.open, dialog.querySelector("h2").innerText, dialog.querySelector("output").value,
            dialog.querySelectorAll("table").length];
    """
    opened, name, said, tables = json.loads(play(done[2], script, tmp_path))
    column, seen = fused.classes.index("plain"), ~fused.broken
    target, answered = fused.targets()[seen, column], fused.probabilities[seen, column].astype(np.float64) >= 0.3
    scores = [100 * of(target, answered) for of in (precision_score, recall_score, f1_score)]
    assert (opened, name, tables) == (True, "plain", 2)
    assert said.startswith("threshold 0.30: precision {:.1f} %, recall {:.1f} %, F1 {:.1f} %; ".format(*scores))
    hits = int((target * answered).sum())
    assert said.endswith(f"{hits} of {target.sum()} found, {answered.sum() - hits} false alarms")


@slow
@in_browser
def test_hostile_names_are_text_when_a_class_opens(done, tmp_path):
    script = """
        const heads = all("#classes table.of-classes th.opens");
        for (const head of [...heads, heads[0]]) { document.getElementById("class").close(); press(head); }
        return [all("dialog img").length, all("dialog h2").length, all("#classes th.opens").length];
    """
    images, titles, opened = json.loads(play(done[2], script, tmp_path))
    assert (images, titles) == (0, 1)
    assert opened == 16  # the classes that have videos, in both lists
    assert (done[1] / PAGE).stat().st_size < 10_000_000
