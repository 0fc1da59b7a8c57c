"""Differences and intervals against scikit-learn, SciPy and loops."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, recall_score

from pipeline.comparison import paired
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL


def answers(videos: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two decimals, so that some tie, and many-hot labels."""
    rng = np.random.default_rng(seed)
    return rng.random((videos, classes)).round(2), (rng.random((videos, classes)) < 0.3).astype(np.uint8)


def resamples(videos: int, number: int = 5) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([np.bincount(rng.integers(videos, size=videos), minlength=videos) for _ in range(number)])


def test_average_precision_of_resamples_is_scikit_learns_with_weights():
    scores, targets = answers(videos=60, classes=4)
    times = resamples(60)
    found = paired.class_figures(MULTI_LABEL, scores, targets, times)
    wanted = [
        [average_precision_score(targets[:, c], scores[:, c], sample_weight=weight) for c in range(4)]
        for weight in times
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_average_precision_of_resamples_is_that_of_the_repeated_videos():
    scores, targets = answers(videos=30, classes=2)
    for weight in resamples(30):
        rows = np.repeat(np.arange(30), weight)
        wanted = [average_precision_score(targets[rows, c], scores[rows, c]) for c in range(2)]
        found = paired.class_figures(MULTI_LABEL, scores, targets, weight[None])[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_recall_of_resamples_is_scikit_learns():
    scores, _ = answers(videos=40, classes=3)
    label = np.arange(40) % 3
    times = resamples(40)
    found = paired.class_figures(SINGLE_LABEL, scores, np.eye(3, dtype=np.uint8)[label], times)
    wanted = [recall_score(label, scores.argmax(axis=1), average=None, sample_weight=weight) for weight in times]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_class_that_a_resample_lacks_has_no_figure_there():
    targets = np.eye(2, dtype=np.uint8)
    for task in (SINGLE_LABEL, MULTI_LABEL):
        found = paired.class_figures(task, np.eye(2), targets, np.array([[2, 0]]))
        np.testing.assert_array_equal(found, [[1.0, np.nan]])


def test_the_interval_of_a_mean_is_that_of_a_loop():
    rng = np.random.default_rng(3)
    one, other = rng.random(50), rng.random(50)
    found = paired.of_means(one, other)
    assert found.value == pytest.approx(100 * (other.mean() - one.mean()))
    rng = np.random.default_rng(9)  # another stream: ends agree within the error of so many resamples
    means = []
    for _ in range(4000):
        rows = rng.integers(50, size=50)
        means.append(100 * (other[rows].mean() - one[rows].mean()))
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low, abs=1.0), pytest.approx(high, abs=1.0))


def test_equal_answers_differ_by_nothing():
    scores, targets = answers(videos=60, classes=4)
    for one in paired.of_classes(MULTI_LABEL, [scores], [scores], targets):
        assert (one.value, one.low, one.high, one.shown) == (0, 0, 0, False)


def test_a_class_of_few_videos_is_left_out():
    targets = np.zeros((20, 3), np.uint8)
    targets[:5, 0] = targets[5:9, 1] = targets[9:, 2] = 1
    scores, _ = answers(videos=20, classes=3)
    found = paired.of_classes(SINGLE_LABEL, [scores], [targets], targets)
    assert [one is None for one in found] == [False, True, False]
    assert found[2].value == pytest.approx(100 * (1 - (scores[9:].argmax(axis=1) == 2).mean()))


def test_seeds_are_averaged():
    targets = np.repeat(np.eye(2, dtype=np.uint8), 10, axis=0)
    wrong = 1 - targets
    (one, _) = paired.of_classes(SINGLE_LABEL, [wrong, wrong], [targets, wrong], targets)
    assert one.value == 50


def test_among_many_classes_of_noise_none_is_shown_though_single_intervals_would_show_some():
    """Coverage of all classes together, over 30 repetitions of two equally good random systems."""
    together = alone = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        targets = np.eye(20, dtype=np.uint8)[np.arange(400) % 20]
        one, other = (np.eye(20)[np.where(rng.random(400) < 0.5, np.arange(400) % 20, 0)] for _ in range(2))
        found = [each for each in paired.of_classes(SINGLE_LABEL, [one], [other], targets) if each]
        together += any(each.shown for each in found)
        differ = 100 * ((other * targets) - (one * targets)).reshape(20, 20, 20).sum(axis=2).T  # class, its videos
        errors = differ.std(axis=1) / np.sqrt(20)
        alone += sum(abs(each.value) > 1.96 * error for each, error in zip(found, errors, strict=True))
    assert together <= 4  # 5 % of 30 are 1.5
    assert alone > 10


def test_right_is_what_most_seeds_answer_right():
    targets = np.array([[1, 0], [0, 1]], np.uint8)
    good, bad = targets.astype(float), 1.0 - targets
    assert paired.right([good, good, bad], targets).tolist() == [True, True]
    assert paired.right([good, bad], targets).tolist() == [False, False]


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (3, 11), (1, 0), (40, 40), (2000, 1800)])
def test_the_sign_test_is_scipys(gained, lost):
    wanted = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert paired.sign_test(gained, lost) == pytest.approx(wanted)


def test_average_precision_of_resamples_leaves_out_what_is_not_known():
    scores, targets = answers(videos=60, classes=4)
    targets = np.where(np.random.default_rng(2).random(targets.shape) < 0.4, -1, targets.astype(np.int8))
    times = resamples(60)
    found = paired.class_figures(MULTI_LABEL, scores, targets, times)
    parts = [targets[:, c] >= 0 for c in range(4)]
    wanted = [
        [average_precision_score(targets[k, c], scores[k, c], sample_weight=w[k]) for c, k in enumerate(parts)]
        for w in times
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
