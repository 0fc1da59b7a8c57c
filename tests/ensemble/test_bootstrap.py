import numpy as np
import pytest

from pipeline.ensemble.bootstrap import intervals


def test_it_is_the_interval_of_the_normal_law_where_that_holds():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(1, 4000))
    error = values.std() / np.sqrt(4000)
    low, high = intervals(values, resamples=2000, seed=0)[0]
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_values_that_do_not_vary_have_no_interval():
    assert intervals(np.full((1, 5), 0.25), resamples=10, seed=0).tolist() == [[0.25, 0.25]]


def test_systems_share_their_resamples():
    values = np.random.default_rng(1).random(50)
    both = intervals(np.stack([values, values + 1]), resamples=100, seed=3)
    assert both[1] == pytest.approx(both[0] + 1)
    assert intervals(values[None], resamples=100, seed=3)[0].tolist() == both[0].tolist()


def test_a_difference_that_all_videos_show_is_certain_though_both_systems_vary():
    rng = np.random.default_rng(2)
    hard = rng.random(200)
    better = hard + 0.01 + 0.001 * rng.random(200)
    (low, high), (alone, _) = intervals(np.stack([better - hard, hard]), resamples=200, seed=0)
    assert 0.01 < low < high < 0.011
    assert alone < hard.mean() - 0.01


def test_another_seed_draws_other_resamples():
    values = np.random.default_rng(1).random((1, 50))
    assert intervals(values, 100, seed=0).tolist() != intervals(values, 100, seed=1).tolist()
