"""Chance, against every order of the classes written out, and against plain draws."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from pipeline import chance, metrics
from pipeline.chance import Chance
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, TASKS


def one_hot(labels, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.uint8)[np.asarray(labels)]


def many_hot(videos: int, labels: int, classes: int, seed: int = 0) -> np.ndarray:
    places = np.argsort(np.random.default_rng(seed).random((videos, classes)), axis=1)[:, :labels]
    return np.eye(classes, dtype=np.uint8)[places].sum(axis=1)


def every_order(scores: np.ndarray, targets: np.ndarray, score) -> float:
    """Mean of a metric over all orders of one video's classes that keep the higher score before the lower."""
    orders = [
        order for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]  # fmt: skip
    found = []
    for order in orders:
        ranked = np.empty((1, len(scores)))
        ranked[0, list(order)] = -np.arange(len(scores))
        found.append(score(targets[None], ranked))
    return float(np.mean(found))


@pytest.mark.parametrize("seed", range(12))
def test_the_expectation_of_ties_is_the_mean_over_every_order(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(1 + seed % 4, size=(3, 6)).astype(float)
    targets = many_hot(3, 1 + seed % 3, 6, seed)
    expected = [every_order(s, t, label_ranking_average_precision_score) for s, t in zip(scores, targets, strict=True)]
    assert chance.expected_per_video(MULTI_LABEL, scores, targets) == pytest.approx(expected)


def test_a_video_without_a_label_counts_one_whoever_answers():
    targets = many_hot(40, 2, 6)
    targets[:10] = 0
    alone = chance.random_answers(MULTI_LABEL, targets[10:])
    found = chance.random_answers(MULTI_LABEL, targets)
    assert found.mean == pytest.approx(25 + 0.75 * alone.mean)
    assert 25 < found.low < found.mean < found.high
    scores = np.random.default_rng(1).random((40, 6))
    assert chance.expected_per_video(MULTI_LABEL, scores, targets) == pytest.approx(
        metrics.average_precision(scores, targets)
    )
    rng = np.random.default_rng(0)  # the shuffles of the module, each by the metric
    orders = [rng.permutation(40) for _ in range(chance._SHUFFLES)]
    plain = np.mean([metrics.sample_map(scores[order], targets) for order in orders])
    assert chance.shuffled_answers(MULTI_LABEL, scores, targets).mean == pytest.approx(plain)


@pytest.mark.parametrize("seed", range(4))
def test_a_tie_for_the_first_place_is_shared(seed):
    scores = np.random.default_rng(seed).integers(2, size=(5, 4)).astype(float)
    targets = one_hot(np.arange(5) % 4, 4)
    expected = [every_order(s, t, lambda t, s: float(t[0, s.argmax()])) for s, t in zip(scores, targets, strict=True)]
    assert chance.expected_per_video(SINGLE_LABEL, scores, targets) == pytest.approx(expected)


@pytest.mark.parametrize("task", TASKS)
def test_without_ties_it_is_the_metric(task):
    scores, targets = np.random.default_rng(0).random((2500, 7)), one_hot(np.arange(2500) % 7, 7)
    expected = metrics.per_video(task, scores, targets)
    assert chance.expected_per_video(task, scores, targets) == pytest.approx(expected)


def test_random_answers_for_one_label_are_its_mean_reciprocal_rank():
    found = chance.random_answers(MULTI_LABEL, one_hot(np.arange(33) % 11, 11))
    assert found.mean == pytest.approx(100 * np.mean(1 / np.arange(1, 12)))
    assert chance.random_answers(SINGLE_LABEL, one_hot(np.arange(33) % 11, 11)).mean == pytest.approx(100 / 11)


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        (SINGLE_LABEL, one_hot(np.arange(33) % 11, 11)),
        (MULTI_LABEL, one_hot(np.arange(33) % 11, 11)),
        (MULTI_LABEL, np.concatenate([many_hot(30, 2, 9), many_hot(20, 4, 9)])),
    ],
)
def test_the_interval_is_that_of_plain_draws(task, targets):
    rng = np.random.default_rng(7)
    drawn = [metrics.headline(task, rng.random(targets.shape), targets) for _ in range(3000)]
    found = chance.random_answers(task, targets)
    assert found.mean == pytest.approx(np.mean(drawn), abs=0.3)
    assert found.deviation == pytest.approx(np.std(drawn), rel=0.07)
    step = 100 / len(targets) if task == SINGLE_LABEL else 0.8
    assert [found.low, found.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=step)


@pytest.mark.parametrize("task", TASKS)
def test_a_constant_answer_shuffles_into_itself(task):
    """It is right where the frequent class is, which is no more than any dealing out of it gives."""
    targets = one_hot([0] * 30 + [1] * 10, 3)
    scores = np.tile([0.7, 0.2, 0.1], (40, 1))
    figure = metrics.headline(task, scores, targets)
    found = chance.shuffled_answers(task, scores, targets)
    assert (found.mean, found.low, found.high) == pytest.approx((figure,) * 3)
    assert found.clear == pytest.approx(figure)


@pytest.mark.parametrize("task", TASKS)
def test_shuffled_answers_are_plain_shuffles(task):
    rng = np.random.default_rng(0)
    targets = one_hot(rng.integers(4, size=50), 4)
    scores = rng.random((50, 4)).round(1) + targets
    drawn = [metrics.headline(task, rng.permutation(scores), targets) for _ in range(2000)]
    found = chance.shuffled_answers(task, scores, targets)
    assert found.mean == pytest.approx(np.mean(drawn), abs=1)
    assert found.deviation == pytest.approx(np.std(drawn), rel=0.12)
    assert metrics.headline(task, scores, targets) > found.clear


def test_shuffled_answers_are_ranked_to_the_bit_as_the_scores_that_were_dealt_out():
    targets = many_hot(2500, 2, 5)  # some blocks, and the ties of rounded scores
    scores = np.random.default_rng(1).random(targets.shape).round(1)
    rng = np.random.default_rng(0)
    drawn = [metrics.sample_map(scores[rng.permutation(len(scores))], targets) for _ in range(chance._SHUFFLES)]
    assert chance.shuffled_answers(MULTI_LABEL, scores, targets) == Chance.of_draws(drawn)


def test_it_takes_seconds_for_a_large_corpus():
    targets = many_hot(10_000, 2, 313)
    found = chance.random_answers(MULTI_LABEL, targets)
    assert found.low < found.mean < found.high < found.clear
    assert found.high - found.low < 0.5


def partly_known(videos: int = 30, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Scores that tie, and labels of which some are not known."""
    rng = np.random.default_rng(0)
    unknown = rng.random((videos, classes)) < 0.4
    targets = np.where(unknown, -1, many_hot(videos, 2, classes).astype(np.int8))
    return rng.integers(4, size=targets.shape).astype(float), targets


def test_the_expectation_is_that_of_the_classes_that_are_known():
    scores, targets = partly_known()
    expected = [
        chance.expected_per_video(MULTI_LABEL, score[None, target >= 0], target[None, target >= 0])[0]
        for score, target in zip(scores, targets, strict=True)
    ]
    assert chance.expected_per_video(MULTI_LABEL, scores, targets) == pytest.approx(expected)


def test_random_answers_rank_the_classes_that_are_known():
    _, targets = partly_known()
    rng = np.random.default_rng(1)
    figures = [metrics.sample_map(rng.random(targets.shape), targets) for _ in range(2000)]
    found, drawn = chance.random_answers(MULTI_LABEL, targets), Chance.of_draws(figures)
    assert found.mean == pytest.approx(np.mean(figures), abs=4 * drawn.deviation / 2000**0.5)
    assert found.deviation == pytest.approx(drawn.deviation, rel=0.1)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.5 * drawn.deviation)


def test_shuffled_answers_are_judged_by_the_classes_that_are_known_of_their_new_video():
    scores, targets = partly_known()
    rng = np.random.default_rng(5)
    figures = []
    for _ in range(300):
        dealt = scores[rng.permutation(len(scores))]
        parts = [(t[t >= 0][None], s[t >= 0][None]) for s, t in zip(dealt, targets, strict=True)]
        figures.append(100 * np.mean([metrics.average_precision(s, t)[0] for t, s in parts]))
    found = chance.shuffled_answers(MULTI_LABEL, scores, targets)
    assert found.mean == pytest.approx(np.mean(figures), abs=0.25 * np.std(figures))
    assert found.deviation == pytest.approx(np.std(figures), rel=0.2)
