import numpy as np
import pytest

from pipeline.report.confusion import count_confusions, most_confused

A, B, C, D = range(4)


def test_a_label_that_is_missed_is_shared_among_the_classes_in_its_place():
    scores = np.array([[0.1, 0.2, 0.9, 0.8], [0.9, 0.1, 0.8, 0.0]])
    targets = np.array([[1, 1, 0, 0], [1, 1, 0, 0]])
    expected = np.zeros((4, 4))
    expected[A, C] = expected[A, D] = 0.5  # of the first video, where both labels are missed
    expected[B, C] = 0.5 + 1  # and of the second, where C stands for B
    expected[B, D] = 0.5
    np.testing.assert_allclose(count_confusions(scores, targets), expected)


def test_the_table_sums_to_the_labels_that_are_missed():
    rng = np.random.default_rng(1)
    scores, targets = rng.random((40, 9)), (rng.random((40, 9)) < 0.3).astype(np.uint8)
    missed = 0
    for row, labels in zip(scores, targets, strict=True):
        missed += len(set(np.flatnonzero(labels)) - set(np.argsort(-row)[: labels.sum()]))
    table = count_confusions(scores, targets)
    assert table.sum() == pytest.approx(missed)
    assert np.diag(table).sum() == 0


def test_a_perfect_answer_and_a_video_without_labels_confuse_nothing():
    assert not count_confusions(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[1, 0], [0, 0]])).any()


def test_pairs_come_most_often_first_and_none_that_never_happened():
    table = np.array([[0, 2.0, 1.0], [0, 0, 2.0], [0, 0, 0]])
    assert most_confused(table, 9) == [(0, 1, 2.0), (1, 2, 2.0), (0, 2, 1.0)]
    assert most_confused(table, 1) == [(0, 1, 2.0)]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must be of one shape"):
        count_confusions(np.zeros((1, 2)), np.zeros((2, 2)))
