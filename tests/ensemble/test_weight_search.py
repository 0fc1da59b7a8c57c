"""The rules that find weights, against exhaustive search and cases that can be read."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from pipeline import metrics
from pipeline.core.task import MULTI_LABEL
from pipeline.ensemble import averaging, least_squares, margin_search, weight_search
from pipeline.ensemble.weight_search import FitData, SearchSettings

SETTINGS = SearchSettings(seed=0, starts=4, shrinkage=1.0)


def members(seed: int = 0, videos: int = 60, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two members that are right about different classes, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    noise = rng.random((3, videos, classes)).astype(np.float32)
    knows = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0] * 6])
    return 0.5 * noise + 0.5 * (knows[:, None] * targets).astype(np.float32), targets


def fit_data(
    probabilities: np.ndarray, targets: np.ndarray, mean: str = "probability", settings: SearchSettings = SETTINGS
) -> FitData:
    scores = averaging.scale(probabilities, mean, MULTI_LABEL)
    return FitData.from_scores(mean, scores, targets, least_squares.error_products(probabilities, targets), settings)


def sample_map(probabilities: np.ndarray, targets: np.ndarray, found: np.ndarray, mean: str = "probability") -> float:
    return metrics.sample_map(
        averaging.fuse(averaging.scale(probabilities, mean, MULTI_LABEL), found, mean, MULTI_LABEL), targets
    )


@pytest.mark.parametrize("rule", weight_search.RULES)
def test_every_rule_gives_weights_on_the_simplex(rule):
    found = weight_search.find(rule, fit_data(*members()))
    assert found.shape == ((3, 6) if rule == "per_class" else (3,))
    assert found.min() >= 0
    assert found.sum(axis=0) == pytest.approx(1)


@pytest.mark.parametrize("mean", averaging.MEANS)
@pytest.mark.parametrize("rule", ["single", "fitted", "greedy", "per_class"])
@pytest.mark.parametrize("seed", range(6))
def test_a_search_is_never_worse_than_the_best_member_on_what_it_is_fitted_to(rule, seed, mean):
    probabilities, targets = members(seed)
    found = weight_search.find(rule, fit_data(probabilities, targets, mean))
    assert sample_map(probabilities, targets, found, mean) >= best_member(probabilities, targets)


@pytest.mark.parametrize("mean", averaging.MEANS)
@pytest.mark.parametrize("rule", ["fitted", "greedy", "per_class"])
@pytest.mark.parametrize("seed", range(6))
def test_nor_is_it_where_the_probabilities_lead_astray(rule, seed, mean):
    """A member with the better order and probabilities that are far off, beside one that is near them and knows less:
    the squared errors, which each class' own weights follow, speak for the wrong one."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((200, 12)) < 0.15).astype(np.uint8)
    targets[np.arange(200), rng.integers(12, size=200)] = 1
    good = 0.9 - 0.3 * (1 - targets) + 0.2 * rng.random((200, 12)) * np.linspace(0.2, 1, 12)
    tame = 0.2 + 0.1 * targets + 0.2 * rng.random((200, 12))
    probabilities = np.stack([good, tame]).clip(0, 1).astype(np.float32)
    found = weight_search.find(rule, fit_data(probabilities, targets, mean))
    assert sample_map(probabilities, targets, found, mean) >= best_member(probabilities, targets)


@pytest.mark.slow
@pytest.mark.parametrize("mean", averaging.MEANS)
@pytest.mark.parametrize("rule", ["fitted", "greedy", "per_class"])
def test_nor_is_it_where_scores_are_few_and_sums_of_them_tie(rule, mean):
    """Tenths in float32: the sums in which the greedy rule searches part what the weighted mean of float64 ties."""
    for seed in range(120):
        rng = np.random.default_rng(seed)
        targets = (rng.random((3, 4)) < 0.4).astype(np.uint8)
        targets[np.arange(3), rng.integers(4, size=3)] = 1
        probabilities = (rng.integers(1, 10, size=(3, 3, 4)) / 10).astype(np.float32)
        found = weight_search.find(rule, fit_data(probabilities, targets, mean))
        assert sample_map(probabilities, targets, found, mean) >= best_member(probabilities, targets), seed


def best_member(probabilities: np.ndarray, targets: np.ndarray) -> float:
    return max(metrics.sample_map(member, targets) for member in probabilities)


@pytest.mark.parametrize("seed", range(20))
def test_a_search_among_ranks_optimises_the_map_that_is_reported(seed):
    """A handful of classes and many ties: what rounding decides shows here first."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((20, 5)) < 0.4).astype(np.uint8)
    targets[np.arange(20), rng.integers(5, size=20)] = 1
    probabilities = (rng.integers(4, size=(3, 20, 5)) / 4).astype(np.float32)
    seen = fit_data(probabilities, targets, "rank")
    for weights in (seen.uniform, margin_search.greedy(seen.margins), np.array([5, 3, 3]) / 11):
        exact = np.tensordot(weights, [[rankdata(row) for row in member] for member in probabilities], axes=1).round(9)
        assert seen.margins.sample_map(seen.margins.fuse(weights)) == pytest.approx(metrics.sample_map(exact, targets))
        assert sample_map(probabilities, targets, weights, "rank") == pytest.approx(metrics.sample_map(exact, targets))


@pytest.mark.parametrize("seed", range(6))
def test_fitted_weights_are_never_worse_than_the_uniform_ones(seed):
    probabilities, targets = members(seed)
    fitted = weight_search.find("fitted", fit_data(probabilities, targets))
    assert sample_map(probabilities, targets, fitted) >= metrics.sample_map(probabilities.mean(axis=0), targets)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_fitted_weights_come_close_to_an_exhaustive_search(count, seed):
    """All weights in steps of 1/50, tried one by one, on 300 videos."""
    probabilities, targets = members(seed, videos=300)
    probabilities = probabilities[:count]
    grid = [np.array(w) / 50 for w in itertools.product(range(51), repeat=count) if sum(w) == 50]
    best = max(sample_map(probabilities, targets, w) for w in grid)
    fitted = weight_search.find("fitted", fit_data(probabilities, targets))
    assert sample_map(probabilities, targets, fitted) > best - 0.1


def test_the_best_member_gets_all():
    probabilities, targets = members()
    singles = [metrics.sample_map(member, targets) for member in probabilities]
    assert weight_search.find("single", fit_data(probabilities, targets)).argmax() == np.argmax(singles)


def test_the_greedy_rule_takes_members_again():
    """The first member is right but for video 2, where the second is so loud that half of it is too much."""
    probabilities = np.array(
        [[[0.6, 0.4], [0.6, 0.4], [0.45, 0.55]], [[0.25, 0.75], [0.25, 0.75], [0.9, 0.1]]], dtype=np.float32
    )
    targets = np.array([[1, 0], [1, 0], [1, 0]])
    found = weight_search.find("greedy", fit_data(probabilities, targets))
    # margins, where negative is right: a -.2 -.2 .1, b .5 .5 -.8; 3 a + b = -.1 -.1 -.5 is the first that is all right
    assert found.tolist() == [0.75, 0.25]


def test_classes_that_are_held_fast_stay_at_the_fitted_weights():
    seen = fit_data(*members(videos=400), settings=SearchSettings(seed=0, starts=4, shrinkage=1e12))
    fitted = weight_search.find("fitted", seen)
    assert np.abs(fitted - 1 / 3).max() > 0.1
    assert weight_search.find("per_class", seen) == pytest.approx(np.tile(fitted[:, None], 6), abs=1e-6)


@pytest.mark.parametrize("rule", weight_search.RULES)
def test_the_same_data_gives_the_same_bytes(rule):
    first, again = (weight_search.find(rule, fit_data(*members())) for _ in range(2))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("rule", weight_search.RULES)
def test_a_single_member_gets_all(rule):
    probabilities, targets = members()
    assert weight_search.find(rule, fit_data(probabilities[:1], targets)).tolist() == [1.0]


def test_a_search_from_weights_nearby_is_never_worse_than_those():
    probabilities, targets = members()
    for start in ([1 / 3] * 3, [0, 0, 1.0], [0.5, 0.5, 0]):
        found = weight_search.find("fitted", fit_data(probabilities, targets), start=np.array(start))
        assert sample_map(probabilities, targets, found) >= sample_map(probabilities, targets, np.array(start))
