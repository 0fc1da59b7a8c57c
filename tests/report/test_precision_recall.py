"""Curves of precision by recall; the figures are scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from pipeline.predictions.table import PredictionTable
from pipeline.report import precision_recall
from tests.support import finished
from tests.support.html_page import check, page


@pytest.mark.parametrize("decimals", [1, 6])  # with one decimal, most scores tie
def test_figures_are_scikit_learns(decimals):
    rng = np.random.default_rng(0)
    targets = rng.random((60, 7)) < 0.2
    scores = np.clip(rng.normal(0.3 + 0.2 * targets, 0.2), 0, 1).round(decimals).astype(np.float32)
    found = precision_recall.curve(scores, targets.astype(np.uint8))
    precision, recall, thresholds = precision_recall_curve(targets.ravel(), scores.ravel())
    expected = {t: (p, r) for p, r, t in zip(precision, recall, thresholds, strict=False)}
    for threshold, *drawn in zip(found.threshold, found.precision, found.recall, strict=True):
        assert expected[threshold] == pytest.approx(drawn)
    assert found.recall[-1] == 1
    assert found.average == pytest.approx(average_precision_score(targets.ravel(), scores.ravel()))
    best = max(f1_score(targets.ravel(), scores.ravel() >= threshold) for threshold in np.unique(scores))
    f1, threshold, *_ = found.best
    assert f1 == pytest.approx(best) == f1_score(targets.ravel(), scores.ravel() >= threshold)


def test_a_curve_has_at_most_a_hundred_points_and_misses_no_recall_by_more_than_one_percent():
    rng = np.random.default_rng(1)
    targets = rng.random((2000, 5)) < 0.3
    found = precision_recall.curve(rng.random((2000, 5)), targets)
    assert len(found.recall) == 100
    assert np.diff(found.recall).max() < 0.02


def test_without_a_label_there_is_no_curve():
    with pytest.raises(ValueError, match="with a label"):
        precision_recall.curve(np.zeros((2, 2)), np.zeros((2, 2)))


def test_the_page_has_the_curves_of_all_models(tmp_path):
    sources = finished.run(tmp_path, resamples=2)
    read = check(page(sources, tmp_path / "report"))
    rows = {row[0]: row[1] for row in read.tables["precision"][0][1:]}
    assert list(rows) == ["tsn", "tin", "ensemble"]
    fused = PredictionTable.read(sources.ensemble / "test.parquet")
    average = average_precision_score(fused.targets().ravel(), fused.probabilities.ravel())
    assert rows["ensemble"] == f"{100 * average:.1f}"
    beside = pd.read_csv(tmp_path / "report" / "precision_recall.csv")
    assert set(beside["model"]) == set(rows)


def test_of_a_single_member_there_is_one_curve(tmp_path):
    sources = finished.run(tmp_path, members=("only",), resamples=2)
    read = check(page(sources, tmp_path / "report"))
    assert [row[0] for row in read.tables["precision"][0][1:]] == ["only"]
