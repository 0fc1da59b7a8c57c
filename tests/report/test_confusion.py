import numpy as np
import pytest

from pipeline.report import confusion
from pipeline.report.confusion import confused_pairs

A, B, C, D = range(4)


def count_confusions(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The times of the pairs as a table, label by class in its place."""
    table = np.zeros((targets.shape[1],) * 2)
    for label, other, times in confused_pairs(scores, targets).itertuples(index=False):
        table[label, other] += times
    return table


def test_a_label_that_is_missed_is_shared_among_the_classes_in_its_place():
    scores = np.array([[0.1, 0.2, 0.9, 0.8], [0.9, 0.1, 0.8, 0.0]])
    targets = np.array([[1, 1, 0, 0], [1, 1, 0, 0]])
    expected = np.zeros((4, 4))
    expected[A, C] = expected[A, D] = 0.5  # of the first video, where both labels are missed
    expected[B, C] = 0.5 + 1  # and of the second, where C stands for B
    expected[B, D] = 0.5
    np.testing.assert_allclose(count_confusions(scores, targets), expected)


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_the_table_sums_to_the_labels_that_are_missed(monkeypatch, at_once):
    monkeypatch.setattr(confusion, "_AT_ONCE", at_once)
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


def test_pairs_come_most_often_first_and_then_in_the_order_of_the_classes():
    label, answer = [A, A, B, B, A], [B, B, C, C, C]
    found = confused_pairs(np.eye(4)[answer], np.eye(4)[label])
    assert found.to_numpy().tolist() == [[A, B, 2], [B, C, 2], [A, C, 1]]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must be of one shape"):
        count_confusions(np.zeros((1, 2)), np.zeros((2, 2)))


def test_a_class_of_which_nobody_knows_replaces_no_label():
    scores, targets = np.array([[0.1, 0.9, 0.8, 0.3]]), np.array([[1, -1, 0, 1]])
    expected = np.zeros((4, 4))
    expected[A, C] = 1  # C and D are the two highest of those that are known
    np.testing.assert_allclose(count_confusions(scores, targets), expected)
