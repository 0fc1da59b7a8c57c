"""The page where each video has one label, and the page of noise."""

import numpy as np
import pytest
import sklearn.metrics

from pipeline.predictions.table import PredictionTable
from pipeline.report import charts
from pipeline.report.confusion import confusion_matrix, recall_and_precision
from tests.support import finished
from tests.support.html_page import check, page

CLASSES = list("abcde")


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    sources = finished.run(folder, CLASSES, videos=40, single=True, weights="best", mean="best", folds=4)
    text = page(sources, folder / "report")
    return sources, text, check(text)


def test_the_matrix_is_scikit_learns():
    rng = np.random.default_rng(0)
    label, scores = rng.integers(4, size=50), rng.random((50, 5))
    table = confusion_matrix(scores, np.eye(5)[label])
    expected = sklearn.metrics.confusion_matrix(label, scores.argmax(axis=1), labels=range(5))
    assert table.tolist() == expected.tolist()
    rows = recall_and_precision(scores, np.eye(5)[label], tuple("abcde")).set_index("class")
    precision, recall, *_ = sklearn.metrics.precision_recall_fscore_support(
        label, scores.argmax(axis=1), labels=range(5), zero_division=np.nan
    )
    np.testing.assert_allclose(rows.loc[list("abcde"), "recall"], 100 * recall)
    np.testing.assert_allclose(rows.loc[list("abcde"), "precision"], 100 * precision)


def test_the_headline_is_top_1_as_scikit_learn_has_it(single):
    sources, text, read = single
    fused = PredictionTable.read(sources.ensemble / "test.parquet")
    right = sklearn.metrics.accuracy_score(fused.targets().argmax(axis=1), fused.probabilities.argmax(axis=1))
    terms = read.tables[""][0]
    assert terms[0][:2] == ["Top-1 accuracy", f"{100 * right:.2f}"]
    assert [term[0] for term in terms[2:]] == ["Mean class accuracy", "Sample mAP"], "top 5 of 5 are all"
    assert f"clips: {100 * right:.2f} top-1 accuracy on test" in text


def test_the_matrix_counts_every_video_that_gave_frames(single):
    sources, text, read = single
    assert "accuracy" in read.tables
    assert "confusion" not in read.tables
    fused = PredictionTable.read(sources.ensemble / "test.parquet")
    seen = ~fused.broken
    found = confusion_matrix(fused.probabilities[seen], fused.targets()[seen])
    assert found.sum() == 39
    assert f"<title>a, answered with a: {found[0, 0]} ({100 * found[0, 0] / found[0].sum():.0f} %)</title>" in text


def test_of_many_classes_there_is_no_matrix(tmp_path):
    sources = finished.run(tmp_path, [f"c{n:02d}" for n in range(70)], videos=80, single=True, resamples=2)
    text = page(sources, tmp_path / "report")
    check(text)
    assert 'class="matrix"' not in text
    assert "<dt>Top-5 accuracy</dt>" in text
    assert "The 40 worst of 70 classes" in text


@pytest.mark.parametrize("is_single", [False, True])
def test_a_page_of_noise_says_so_on_top_and_shows_no_gain(tmp_path, is_single):
    sources = finished.run(
        tmp_path, CLASSES, videos=40, single=is_single, signal=0.0, weights="best", mean="best", folds=4, resamples=200
    )
    text = page(sources, tmp_path / "report")
    read = check(text)
    top = read.text[: read.text.index("Models and ensembles")]
    assert "no better than chance on test" in top
    assert "No model is better than chance on test, so there is no gain to tell." in top
    assert read.tables[""][0][1][1:] == ["\N{EN DASH}", "no model is better than chance"]
    assert {row[3] for row in read.tables["variants"][0][1:]} == {"\N{EN DASH}"}
    assert {row[5] for row in read.tables["variants"][0][1:]} == {"\N{EN DASH}"}


def test_a_curve_of_one_epoch_is_a_dot():
    x, y = charts.Axis("epoch", 0, 2), charts.Axis("", 0, 100)
    chart = charts.lines("", x, y, [charts.Series("one", [1], [50.0]), charts.Series("two", [1, 2], [50.0, 60.0])])
    assert chart.count("<circle") == chart.count('class="line') == 1
