"""Metrics against scikit-learn, the published code and values by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    label_ranking_average_precision_score,
    top_k_accuracy_score,
)

from pipeline import metrics
from tests.support.golden import keys


def random_case(
    seed: int, rows: int = 40, columns: int = 17, values: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets with a positive in every row; of `values` distinct scores, so that many tie."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, columns)) if values is None else rng.integers(values, size=(rows, columns)) / values
    targets = (rng.random((rows, columns)) < 0.2).astype(np.uint8)
    targets[np.arange(rows), rng.integers(columns, size=rows)] = 1
    return scores, targets


def one_label_case(seed: int, rows: int = 60, columns: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, one-hot targets, and the number of each row's label; the last class has no video."""
    rng = np.random.default_rng(seed)
    label = rng.integers(columns - 1, size=rows)
    targets = np.eye(columns, dtype=np.uint8)[label]
    return rng.normal(size=(rows, columns)) + targets, targets, label


def by_scikit_learn(scores: np.ndarray, targets: np.ndarray) -> list[float]:
    """Label ranking average precision, row by row."""
    return [label_ranking_average_precision_score(targets[[i]], scores[[i]]) for i in range(len(scores))]


def test_average_precision_by_hand():
    # ranks of the positives: 1 and 3, so the precisions there are 1/1 and 2/3
    assert metrics.average_precision(np.array([[0.9, 0.5, 0.4, 0.1]]), np.array([[1, 0, 1, 0]])) == pytest.approx(5 / 6)


def test_ties_are_one_threshold():
    # all three pass at once, and one of them is right: whichever comes first in the array
    for positive in range(3):
        assert metrics.average_precision(np.zeros((1, 3)), np.eye(3)[[positive]]).tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed: int):
    scores, targets = random_case(seed)

    assert metrics.average_precision(scores, targets) == pytest.approx(by_scikit_learn(scores, targets), abs=1e-12)


@pytest.mark.parametrize("values", [1, 2, 3, 10])
def test_equals_scikit_learn_where_scores_tie(values: int):
    scores, targets = random_case(values, values=values)

    assert metrics.average_precision(scores, targets) == pytest.approx(by_scikit_learn(scores, targets), abs=1e-12)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_equals_scikit_learn_for_every_kind_of_number(kind: type):
    scores, targets = random_case(0, values=20)
    scores = (20 * scores).astype(kind)

    assert metrics.average_precision(scores, targets) == pytest.approx(
        by_scikit_learn(scores.astype(np.float64), targets), abs=1e-12
    )
    assert metrics.average_precision(scores, targets.astype(bool)).dtype == np.float64


@pytest.mark.parametrize("values", [None, 2, 10])
def test_sample_map_is_the_label_ranking_average_precision(values: int | None):
    scores, targets = random_case(7, rows=200, columns=31, values=values)
    expected = 100 * label_ranking_average_precision_score(targets, scores)

    assert metrics.sample_map(scores, targets) == pytest.approx(expected, rel=1e-13)


def test_a_single_class_and_a_row_of_positives_are_always_right():
    assert metrics.average_precision(np.array([[0.3], [-2.0]]), np.ones((2, 1))).tolist() == [1, 1]
    assert metrics.average_precision(np.array([[0.3, 0.1, 0.3]]), np.ones((1, 3))).tolist() == [1]


def test_no_rows_have_no_average_precision():
    assert metrics.average_precision(np.zeros((0, 3)), np.zeros((0, 3))).tolist() == []


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7, 8, 9, 313])
def test_equals_scikit_learn_for_every_width_of_the_search(columns: int):
    """The ranks come from a binary search, whose ends lie elsewhere for each width; half of the scores tie."""
    scores, targets = random_case(columns, columns=columns, values=max(2, columns // 2))

    assert metrics.average_precision(scores, targets) == pytest.approx(by_scikit_learn(scores, targets), abs=1e-12)


def test_ranks_alone_give_the_average_precision():
    # two rows: positives at ranks 1 and 3, and two that tie at 2, which are found together
    assert metrics.precision_at_ranks(np.array([3, 1, 2, 2]), np.array([2, 2])).tolist() == [(1 + 2 / 3) / 2, 1.0]


def test_zero_ties_with_minus_zero():
    assert metrics.average_precision(np.array([[0.0, -0.0]]), np.array([[0, 1]])).tolist() == [0.5]


def test_a_monotonic_change_of_the_scores_changes_nothing():
    scores, targets = random_case(1)

    assert metrics.sample_map(scores, targets) == metrics.sample_map(1 / (1 + np.exp(-scores)), targets)


def test_the_inputs_are_left_as_they_were():
    scores, targets = random_case(2)
    before = scores.copy(), targets.copy()
    metrics.summary(scores, targets, broken=0)

    assert np.array_equal(scores, before[0])
    assert np.array_equal(targets, before[1])


@pytest.mark.parametrize("case", ["plain", "ties"])
def test_equals_the_published_code(case: str):
    golden = {
        name: np.asarray(value) for name, value in keys.read("metric_sample_map").items() if name.startswith(case)
    }
    scores, targets = golden[f"{case}_scores"], golden[f"{case}_labels"]
    per_sample = golden[f"{case}_per_sample"]
    scale = 100 if per_sample.max() > 1 else 1

    assert scale * metrics.average_precision(scores, targets) == pytest.approx(per_sample, abs=1e-9)
    assert metrics.sample_map(scores, targets) == pytest.approx(float(golden[f"{case}_mAP_sample"]), abs=1e-9)
    assert metrics.class_map(scores, targets) == pytest.approx(float(golden[f"{case}_mAP_class_mmaction2"]), abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (np.zeros((2, 3)), np.ones((3, 2)), r"scores \(2, 3\) and targets \(3, 2\)"),
        (np.zeros(3), np.ones(3), "one shape"),
        (np.zeros((2, 2, 2)), np.ones((2, 2, 2)), "one shape"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), np.ones((2, 2)), "row 1 has a score that is not finite"),
        (np.array([[0.0, np.inf], [0.0, 1.0]]), np.ones((2, 2)), "row 0 has a score that is not finite"),
    ],
)
def test_what_has_no_average_precision_is_an_error(scores: np.ndarray, targets: np.ndarray, message: str):
    for metric in (metrics.average_precision, metrics.sample_map):
        with pytest.raises(ValueError, match=message):
            metric(scores, targets)


@pytest.mark.parametrize("values", [None, 5])
@pytest.mark.parametrize("some", [0, 1, 13, 40])
def test_rows_without_a_positive_count_as_in_scikit_learn(values: int | None, some: int):
    scores, targets = random_case(5, values=values)
    targets[np.random.default_rng(some).permutation(40)[some:]] = 0

    assert metrics.average_precision(scores, targets) == pytest.approx(by_scikit_learn(scores, targets), abs=1e-12)
    expected = label_ranking_average_precision_score(targets, scores)
    assert metrics.sample_map(scores, targets) == pytest.approx(100 * expected, abs=1e-9)
    by_class = metrics.class_average_precision(scores, targets)
    for column in np.flatnonzero(targets.any(axis=0)):
        assert by_class[column] == pytest.approx(average_precision_score(targets[:, column], scores[:, column]))
    assert np.isnan(by_class[~targets.any(axis=0)]).all()


def test_no_label_can_be_hit_in_a_video_that_has_none():
    scores, targets = random_case(6)
    with_none = np.concatenate([targets, np.zeros_like(targets[:9])])
    again = np.concatenate([scores, scores[:9]])
    assert [metrics.hit_at(k, again, with_none) for k in (1, 5)] == [metrics.hit_at(k, scores, targets) for k in (1, 5)]
    assert math.isnan(metrics.hit_at(1, scores, np.zeros_like(targets)))


def test_class_precision_turns_the_table_around():
    scores, targets = random_case(3, rows=60, columns=6)

    per_class = metrics.class_average_precision(scores, targets)
    assert per_class == pytest.approx(
        [average_precision_score(targets[:, c], scores[:, c]) for c in range(6)], abs=1e-12
    )
    assert metrics.class_map(scores, targets) == pytest.approx(100 * per_class.mean())


def test_a_class_without_a_positive_is_left_out_of_the_mean():
    scores = np.array([[0.9, 0.1, 0.5], [0.1, 0.8, 0.6]])
    targets = np.array([[1, 0, 0], [1, 1, 0]])

    per_class = metrics.class_average_precision(scores, targets)
    assert per_class[:2].tolist() == [1, 1]
    assert math.isnan(per_class[2])
    assert metrics.class_map(scores, targets) == 100


def test_a_hit_is_a_label_among_the_highest_scores():
    scores = np.array([[0.5, 0.4, 0.3], [0.1, 0.2, 0.3], [0.3, 0.1, 0.2], [0.1, 0.3, 0.2]])
    targets = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 1]])

    assert [metrics.hit_at(k, scores, targets) for k in (1, 2, 3, 5)] == [50, 75, 100, 100]


def test_of_classes_that_tie_the_first_is_the_higher():
    scores = np.zeros((1, 20))

    assert metrics.hit_at(1, scores, np.eye(20)[[0]]) == 100
    assert metrics.hit_at(1, scores, np.eye(20)[[1]]) == 0
    assert metrics.hit_at(5, scores, np.eye(20)[[4]]) == 100
    assert metrics.hit_at(5, scores, np.eye(20)[[5]]) == 0


def test_ties_among_many_classes_go_to_the_first():
    scores = np.tile([0.0, 1.0], (1, 500))  # every other of a thousand is highest

    hits = [metrics.hit_at(3, scores, np.eye(1000)[[label]]) for label in range(9)]
    assert hits == [0, 100, 0, 100, 0, 100, 0, 0, 0]


def test_a_summary_says_how_many_videos_it_speaks_of():
    scores = np.array([[0.9, 0.5, 0.4], [0.9, 0.5, 0.4]])
    targets = np.array([[1, 0, 0], [0, 1, 0]])

    summary = metrics.summary(scores, targets, broken=1)
    assert summary == {
        "mAP": 75.0,
        "class_mAP": 50.0,  # both videos score alike, so a class finds its one positive among two that tie
        "hit_at_1": 50.0,
        "hit_at_5": 100.0,
        "n_expected": 2,
        "n_scored": 1,
        "n_broken": 1,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_equals_scikit_learn(seed: int, k: int):
    scores, targets, label = one_label_case(seed)

    expected = 100 if k == 7 else 100 * top_k_accuracy_score(label, scores, k=k, labels=range(7))
    assert metrics.top_k(k, scores, targets) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_mean_class_accuracy_equals_scikit_learn_and_leaves_out_a_class_without_a_video(seed: int):
    scores, targets, label = one_label_case(seed)

    expected = 100 * balanced_accuracy_score(label, scores.argmax(axis=1))
    assert metrics.mean_class_accuracy(scores, targets) == pytest.approx(expected, abs=1e-12)


def test_the_headline_is_the_mean_over_its_videos():
    scores, targets, label = one_label_case(0)

    right = metrics.per_video("single_label", scores, targets)
    assert right.tolist() == (scores.argmax(axis=1) == label).tolist()
    assert right.dtype == np.float64
    assert metrics.headline("single_label", scores, targets) == 100 * accuracy_score(label, scores.argmax(axis=1))
    precision = metrics.per_video("multi_label", scores, targets)
    assert precision.tolist() == pytest.approx(by_scikit_learn(scores, targets))
    assert metrics.headline("multi_label", scores, targets) == metrics.sample_map(scores, targets)


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 0, 1]])
def test_a_video_without_exactly_one_label_has_no_accuracy(row: list[int]):
    scores, targets = np.zeros((2, 3)), np.array([[1, 0, 0], row])

    for metric in (
        lambda *arrays: metrics.top_k(5, *arrays),
        metrics.mean_class_accuracy,
        lambda *arrays: metrics.headline("single_label", *arrays),
    ):
        with pytest.raises(ValueError, match="row 1 has not exactly one positive"):
            metric(scores, targets)
    with pytest.raises(ValueError, match="row 0 has a score that is not finite"):
        metrics.top_k(1, scores + np.nan, np.eye(3)[:2])


def test_a_summary_of_one_label_a_video_has_the_metrics_of_its_task():
    scores = np.array([[0.9, 0.5, 0.4], [0.9, 0.5, 0.4], [0.1, 0.2, 0.9]])
    targets = np.eye(3)[[0, 1, 0]]

    assert metrics.summary(scores, targets, broken=1, task="single_label") == pytest.approx(
        {
            "top1": 100 / 3,
            "top5": 100.0,
            "mean_class_accuracy": 25.0,  # class 0: one of two; class 1: none of one; class 2 has no video
            "mAP": 100 * (1 + 1 / 2 + 1 / 3) / 3,
            "n_expected": 3,
            "n_scored": 2,
            "n_broken": 1,
        }
    )


@pytest.mark.parametrize("task", ["multi_label", "single_label"])
def test_the_headline_is_the_first_of_the_summary(task):
    scores, targets, _ = one_label_case(1)

    summary = metrics.summary(scores, targets, 0, task)
    assert next(iter(summary)) == metrics.HEADLINE[task]
    assert summary[metrics.HEADLINE[task]] == metrics.headline(task, scores, targets)
    assert set(metrics.TITLE) == set(metrics.HEADLINE)


def test_top_5_tells_nothing_where_there_are_no_more_than_5_classes():
    assert [metrics.tells("top5", classes) for classes in (2, 5, 6)] == [False, False, True]
    assert metrics.tells("top1", 2)


def partly_known(seed: int, values: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and targets of which a third is not known, in some rows all but one; some rows have no positive."""
    scores, targets = random_case(seed, values=values)
    rng = np.random.default_rng(seed)
    targets = np.where(rng.random(targets.shape) < 1 / 3, -1, targets.astype(np.int8))
    targets[0, 1:], targets[1], targets[2, 1:] = -1, np.where(targets[1] == 0, -1, targets[1]), 0
    targets[0, 0] = 1
    return scores, targets


@pytest.mark.parametrize("values", [None, 1, 3, 10])
def test_labels_that_are_not_known_are_left_out_of_each_video(values: int | None):
    scores, targets = partly_known(0, values)
    known = [(s[t >= 0], t[t >= 0]) for s, t in zip(scores, targets, strict=True)]
    expected = [label_ranking_average_precision_score(t[None], s[None]) for s, t in known]
    assert metrics.average_precision(scores, targets) == pytest.approx(expected, abs=1e-12)
    assert metrics.sample_map(scores, targets) == pytest.approx(100 * np.mean(expected))


@pytest.mark.parametrize("values", [None, 3])
def test_labels_that_are_not_known_are_left_out_of_each_class(values: int | None):
    scores, targets = partly_known(1, values)
    expected = [average_precision_score(t[t >= 0], s[t >= 0]) for s, t in zip(scores.T, targets.T, strict=True)]
    assert metrics.class_average_precision(scores, targets) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 30])
def test_a_class_of_which_nobody_knows_takes_no_place_among_the_highest(k: int):
    scores, targets = partly_known(2)
    hits = []
    for score, target in zip(scores, targets, strict=True):
        if (target > 0).any():
            order = [c for c in np.argsort(-score) if target[c] >= 0]
            hits.append(any(target[c] > 0 for c in order[:k]))
    assert metrics.hit_at(k, scores, targets) == pytest.approx(100 * np.mean(hits))


def test_what_is_said_of_an_unknown_class_moves_no_metric():
    scores, targets = partly_known(3)
    others = np.where(targets < 0, np.random.default_rng(9).normal(size=scores.shape), scores)
    assert metrics.summary(others, targets, 0) == metrics.summary(scores, targets, 0)
