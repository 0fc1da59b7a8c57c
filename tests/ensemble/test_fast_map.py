"""RankMargins against the metric itself, which knows nothing of them."""

import numpy as np
import pytest

from pipeline import metrics
from pipeline.ensemble.fast_map import RankMargins


def case(seed: int, members: int = 3, videos: int = 30, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Scores in steps of 1/64, whose sums float32 holds exactly, so that ties are ties; one to all positives a row."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    targets[0] = 1
    return (rng.integers(65, size=(members, videos, classes)) / 64).astype(np.float32), targets


WEIGHTS = [np.array(w) / 8 for w in ([8, 0, 0], [0, 0, 8], [4, 4, 0], [1, 2, 5], [2, 3, 3])]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_the_average_precision_is_the_metrics(seed, weights):
    scores, targets = case(seed)
    margins = RankMargins.from_scores(scores, targets)
    expected = metrics.average_precision(np.tensordot(weights, scores, axes=1), targets)
    found = margins.average_precision(margins.fuse(weights))
    assert found == pytest.approx(expected, abs=1e-12)
    assert margins.sample_map(margins.fuse(weights)) == pytest.approx(100 * expected.mean())


def test_only_classes_on_which_members_disagree_are_kept():
    scores = np.array([[[0.5, 0.9, 0.1, 0.6, 0.5]], [[0.5, 0.8, 0.2, 0.4, 0.5]]], dtype=np.float32)
    margins = RankMargins.from_scores(scores, np.array([[1, 0, 0, 0, 0]]))
    assert margins.base_ranks.tolist() == [3]  # itself, the second class, and the last, which always ties
    assert margins.counts.tolist() == [1]
    assert np.concatenate(margins.margins).tolist() == pytest.approx([0.1, -0.1])


def test_members_that_agree_have_no_contested_classes():
    scores, targets = case(0, members=1)
    margins = RankMargins.from_scores(scores, targets)
    assert margins.counts.sum() == 0
    expected = metrics.sample_map(scores[0], targets)
    assert margins.sample_map(margins.fuse(np.ones(1))) == pytest.approx(expected)


@pytest.mark.parametrize("empty", [[0, 1, 29], [29], [*range(29)]], ids=len)
def test_videos_without_a_label_have_the_average_precision_of_the_metrics(empty):
    scores, targets = case(2)
    targets[empty] = 0
    margins = RankMargins.from_scores(scores, targets)
    expected = metrics.average_precision(np.tensordot(WEIGHTS[3], scores, axes=1), targets)
    assert margins.average_precision(margins.fuse(WEIGHTS[3])) == pytest.approx(expected, abs=1e-12)
    chosen = np.arange(30) % 2 == 1
    part = margins.select_videos(chosen)
    assert part.average_precision(part.fuse(WEIGHTS[3])) == pytest.approx(expected[chosen], abs=1e-12)


def test_those_of_some_videos_are_those_of_a_smaller_table():
    scores, targets = case(1)
    chosen = np.arange(30) % 3 != 1
    part, alone = (
        RankMargins.from_scores(scores, targets).select_videos(chosen),
        RankMargins.from_scores(scores[:, chosen], targets[chosen]),
    )
    for mine, other in zip(part.margins, alone.margins, strict=True):
        assert mine.tolist() == other.tolist()
    for name in ("counts", "base_ranks", "positives"):
        assert getattr(part, name).tolist() == getattr(alone, name).tolist()


def test_some_members_are_fused_as_if_there_were_no_others():
    scores, targets = case(2)
    part = RankMargins.from_scores(scores, targets).select_members([2, 0])
    expected = metrics.average_precision((3 * scores[2] + 5 * scores[0]) / 8, targets)
    assert part.average_precision(part.fuse(np.array([3, 5]) / 8)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("to", [[0.5, 0.25, 0.25], [0.25, 0.375, 0.375], [0.375, 0.375, 0.25]], ids=str)
def test_near_weights_need_few_pairs_and_lose_nothing(to):
    """Within a quarter of (3/8, 1/4, 3/8): the others are settled."""
    scores, targets = case(3)
    margins = RankMargins.from_scores(scores, targets)
    near = margins.near(np.array([0.375, 0.25, 0.375]), 0.25)
    assert len(near.margins[0]) < len(margins.margins[0])
    expected = metrics.average_precision(np.tensordot(to, scores, axes=1), targets)
    assert near.average_precision(near.fuse(np.array(to))) == pytest.approx(expected, abs=1e-12)


def test_blocks_do_not_show(monkeypatch):
    scores, targets = case(4)
    whole = RankMargins.from_scores(scores, targets)
    monkeypatch.setattr("pipeline.ensemble.fast_map._BLOCK", 10)
    blocks = RankMargins.from_scores(scores, targets)
    assert [m.tobytes() for m in blocks.margins] == [m.tobytes() for m in whole.margins]
    assert blocks.base_ranks.tolist() == whole.base_ranks.tolist()


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_a_class_that_is_not_known_has_no_rank(weights):
    scores, targets = case(5)
    targets = np.where(np.random.default_rng(5).random(targets.shape) < 0.4, -1, targets.astype(np.int8))
    margins = RankMargins.from_scores(scores, targets)
    expected = metrics.average_precision(np.tensordot(weights, scores, axes=1), targets)
    assert margins.average_precision(margins.fuse(weights)) == pytest.approx(expected, abs=1e-12)
    assert expected.mean() != pytest.approx(
        metrics.sample_map(np.tensordot(weights, scores, axes=1), targets > 0) / 100
    )
