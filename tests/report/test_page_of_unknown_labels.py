"""The page where of some classes nobody knows whether a video shows them."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, label_ranking_average_precision_score

from pipeline.predictions.table import PredictionTable
from tests.support import finished
from tests.support.html_page import check, page

CLASSES = list("abcd")


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    folder = tmp_path_factory.mktemp("partly")
    sources = finished.run(folder, CLASSES, videos=24, unknown=True, weights="best", mean="best", folds=4)
    text = page(sources, folder / "report")
    check(text)
    return sources, text, folder / "report"


@pytest.fixture
def fused(partly) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the ensemble on test, and labels read anew from their texts: 1, 0, or -1 where nobody knows."""
    table = PredictionTable.read(partly[0].ensemble / "test.parquet")
    names = [text.split(";") for text in table.labels]
    targets = np.array([[1 if c in its else -1 if f"?{c}" in its else 0 for c in CLASSES] for its in names])
    assert (targets < 0).any()
    return table.probabilities.astype(np.float64), targets


def test_the_headline_is_scikit_learns_of_the_labels_that_are_known(partly, fused):
    known = [(t[t >= 0][None], s[t >= 0][None]) for s, t in zip(*fused, strict=True)]
    expected = 100 * np.mean([label_ranking_average_precision_score(*one) for one in known])
    figures = json.loads(partly[0].metrics.read_text())
    assert figures["ensemble"]["test"] == pytest.approx(expected)
    assert f"{expected:.2f}" in partly[1]


def test_classes_and_calibration_are_scikit_learns_of_the_labels_that_are_known(partly, fused):
    scores, targets = fused
    table = pd.read_csv(partly[2] / "classes.csv", index_col="class")
    for column, name in enumerate(CLASSES):
        known = targets[:, column] >= 0
        expected = average_precision_score(targets[known, column], scores[known, column])
        assert table.loc[name, "ensemble"] == pytest.approx(100 * expected)
        assert table.loc[name, "positives"] == (targets[:, column] > 0).sum()
    member = PredictionTable.read(partly[0].predictions / "tsn" / "test.parquet")
    known = targets >= 0
    expected = brier_score_loss(targets[known], member.probabilities[known].astype(np.float64))
    assert f"{expected:.4f}" in partly[1]


def test_the_page_says_how_much_is_not_known(partly):
    labels = pd.read_csv(partly[0].manifest, sep="\t")["labels"]
    share = 100 * labels.str.count(r"\?").sum() / (4 * len(labels))
    assert f"Of {share:.1f} % of all pairs of a video and a class nobody knows" in partly[1]
    assert "nobody knows whether it bears" in partly[1]


def test_where_all_is_known_nothing_is_said_of_it(tmp_path):
    assert "nobody knows" not in page(finished.run(tmp_path / "run", CLASSES), tmp_path / "report")
