import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from pipeline.report.calibration import bin_forecasts


def test_four_forecasts_that_can_be_checked_by_hand():
    found = bin_forecasts(np.array([[0.1, 0.1], [0.8, 0.6]]), np.array([[0, 1], [1, 1]]), bins=2)
    assert found.predicted == pytest.approx([0.1, 0.7])
    assert found.observed == pytest.approx([0.5, 1.0])
    assert found.forecasts.tolist() == [2, 2]
    assert found.error == pytest.approx((0.4 + 0.3) / 2)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.04 + 0.16) / 4)


def test_a_bin_counts_for_as_much_as_it_has_forecasts():
    found = bin_forecasts(np.array([[0.1, 0.1, 0.1, 0.7]]), np.array([[0, 0, 1, 1]]), bins=2)
    assert found.forecasts.tolist() == [3, 1]
    assert found.error == pytest.approx((3 * abs(0.1 - 1 / 3) + 1 * 0.3) / 4)


def test_it_is_scikit_learns():
    rng = np.random.default_rng(0)
    scores = rng.random((50, 7)).astype(np.float32) ** 2
    targets = (rng.random((50, 7)) < scores).astype(np.uint8)
    found = bin_forecasts(scores, targets)
    observed, predicted = calibration_curve(targets.ravel(), scores.astype(np.float64).ravel(), n_bins=10)
    assert found.predicted == pytest.approx(predicted)
    assert found.observed == pytest.approx(observed)
    assert found.brier == pytest.approx(brier_score_loss(targets.ravel(), scores.astype(np.float64).ravel()))


def test_0_and_1_have_a_bin_and_empty_bins_have_none():
    found = bin_forecasts(np.array([[0.0, 1.0]]), np.array([[0, 1]]))
    assert found.predicted.tolist() == [0.0, 1.0]
    assert found.error == 0


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.nan])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        bin_forecasts(np.array([[0.5, bad]]), np.array([[0, 1]]))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 2\) and targets \(2, 1\)"):
        bin_forecasts(np.zeros((1, 2)), np.zeros((2, 1)))


def test_a_forecast_of_which_nobody_knows_what_came_true_is_left_out():
    rng = np.random.default_rng(1)
    scores, targets = rng.random((50, 7)), rng.integers(-1, 2, size=(50, 7))
    known = targets >= 0
    found = bin_forecasts(scores, targets)
    observed, predicted = calibration_curve(targets[known], scores[known], n_bins=10)
    assert found.predicted == pytest.approx(predicted)
    assert found.observed == pytest.approx(observed)
    assert found.brier == pytest.approx(brier_score_loss(targets[known], scores[known]))
    assert found.forecasts.sum() == known.sum()
