"""What is averaged: scales, and the weighted mean on them."""

import itertools

import numpy as np
import pytest

from pipeline import metrics
from pipeline.core.task import MULTI_LABEL
from pipeline.ensemble import averaging


def test_fusing_is_the_weighted_mean():
    scores = np.array([[[0.0, 1.0]], [[1.0, 0.5]]])
    assert averaging.fuse(scores, np.array([0.25, 0.75]), "probability", MULTI_LABEL).tolist() == [[0.75, 0.625]]


def test_every_class_may_have_its_own_weights():
    scores = np.array([[[0.0, 1.0]], [[1.0, 0.5]]])
    own = np.array([[0.25, 1.0], [0.75, 0.0]])
    assert averaging.fuse(scores, own, "probability", MULTI_LABEL).tolist() == [[0.75, 1.0]]


def test_the_mean_of_logits_is_the_geometric_one_of_odds():
    odds = np.array([[[1.0, 1 / 4]], [[16.0, 4.0]]])
    probabilities = (odds / (1 + odds)).astype(np.float32)
    fused = averaging.fuse(
        averaging.scale(probabilities, "logit", MULTI_LABEL), np.array([0.5, 0.5]), "logit", MULTI_LABEL
    )
    assert fused[0].tolist() == pytest.approx([4 / 5, 1 / 2])  # odds of 4 and 1


def test_certain_probabilities_have_a_logit_that_keeps_their_order():
    sure = np.array([0.0, 1e-30, 0.5, 1 - 2**-23, 1.0], dtype=np.float32)
    logits = averaging.scale(sure, "logit", MULTI_LABEL)
    assert np.isfinite(logits).all()
    assert (np.diff(logits) > 0).all()


def test_ranks_count_from_one_and_ties_share_theirs():
    probabilities = np.array([[[0.1, 0.4, 0.2, 0.3], [0.5, 0.5, 0.9, 0.0]]], dtype=np.float32)
    assert averaging.scale(probabilities, "rank", MULTI_LABEL).tolist() == [[[1, 4, 2, 3], [2.5, 2.5, 4, 1]]]


@pytest.mark.parametrize("mean", averaging.MEANS)
def test_one_member_alone_keeps_its_order_in_every_mean(mean):
    rng = np.random.default_rng(0)
    probabilities, targets = rng.random((1, 30, 6)).astype(np.float32), np.eye(6, dtype=np.uint8)[np.arange(30) % 6]
    fused = averaging.fuse(averaging.scale(probabilities, mean, MULTI_LABEL), np.ones(1), mean, MULTI_LABEL)
    assert fused.dtype == np.float32
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert metrics.sample_map(fused, targets) == metrics.sample_map(probabilities[0], targets)


def test_the_mean_of_ranks_is_a_share_of_the_classes():
    ranks = np.array([[[1.0, 4.0, 2.0, 3.0]], [[4.0, 3.0, 1.5, 1.5]]], dtype=np.float32)
    fused = averaging.fuse(ranks, np.array([0.5, 0.5]), "rank", MULTI_LABEL)
    assert fused.tolist() == [[0.625, 0.875, 0.4375, 0.5625]]  # 2.5, 3.5, 1.75 and 2.25 of 4


def test_what_ties_stays_tied_in_any_order_of_the_members():
    """Thirds of whole numbers: in float32 they would part."""
    ranks = np.array([[[1, 3, 2]], [[3, 2, 1]], [[2, 1, 3]]], dtype=np.float32)  # each class has 6
    for order in itertools.permutations(range(3)):
        (fused,) = averaging.fuse(ranks[list(order)], np.full(3, 1 / 3), "rank", MULTI_LABEL)
        assert len(set(fused.tolist())) == 1


def test_blocks_of_videos_do_not_show(monkeypatch):
    scores = np.random.default_rng(0).random((3, 7, 4)).astype(np.float32)
    whole = averaging.fuse(scores, np.array([0.2, 0.5, 0.3]), "logit", MULTI_LABEL)
    monkeypatch.setattr(averaging, "_ROWS", 2)
    assert averaging.fuse(scores, np.array([0.2, 0.5, 0.3]), "logit", MULTI_LABEL).tobytes() == whole.tobytes()
