import csv
import io
import itertools

import numpy as np
import pytest

from pipeline import ensemble, metrics
from pipeline.ensemble import EnsembleConfig
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable

SETTINGS = dict(members=("a", "b"), protocol="dense", weights="fitted", given=None, folds=2, seed=0, top=2)


def config(**changes) -> EnsembleConfig:
    return EnsembleConfig(**(SETTINGS | changes))


def table(**changes) -> PredictionTable:
    values = dict(
        videos=("x.mp4", "y.mp4"),
        broken=np.array([False, False]),
        labels=("run", "jump"),
        classes=("jump", "run"),
        probabilities=np.array([[0.25, 0.75], [0.5, 0.125]], dtype=np.float32),
        meta={},
    )
    return PredictionTable(**(values | changes))


def members(seed=0, videos=40, classes=6):
    """Two members that are right about different classes, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    noise = rng.random((3, videos, classes)).astype(np.float32)
    knows = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0] * 6])
    return 0.5 * noise + 0.5 * (knows[:, None] * targets).astype(np.float32), targets


def test_fusing_is_the_weighted_mean():
    probabilities = np.array([[[0.0, 1.0]], [[1.0, 0.5]]])
    assert ensemble.fuse(probabilities, np.array([0.25, 0.75])).tolist() == [[0.75, 0.625]]


def test_fitted_weights_lie_on_the_simplex_and_ignore_the_member_that_knows_nothing():
    weights = ensemble.fit_weights(*members())
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights[2] == min(weights)


def test_fitted_weights_are_never_worse_than_the_best_member_or_the_uniform_mean():
    for seed in range(5):
        probabilities, targets = members(seed)
        fitted = metrics.sample_map(ensemble.fuse(probabilities, ensemble.fit_weights(probabilities, targets)), targets)
        singles = [metrics.sample_map(member, targets) for member in probabilities]
        uniform = metrics.sample_map(probabilities.mean(axis=0), targets)
        assert fitted >= max(*singles, uniform)


def test_the_search_comes_close_to_an_exhaustive_one():
    """All weights in steps of 1/20, tried one by one."""
    probabilities, targets = members()
    best = 0.0
    for a, b in itertools.product(range(21), repeat=2):
        if a + b <= 20:
            weights = np.array([a, b, 20 - a - b]) / 20
            best = max(best, metrics.sample_map(ensemble.fuse(probabilities, weights), targets))
    found = metrics.sample_map(ensemble.fuse(probabilities, ensemble.fit_weights(probabilities, targets)), targets)
    assert found > best - 0.5


def test_the_order_of_the_members_does_not_matter():
    probabilities, targets = members()
    forward, backward = (ensemble.fit_weights(p, targets) for p in (probabilities, probabilities[::-1]))
    scores = [
        metrics.sample_map(ensemble.fuse(p, w), targets)
        for p, w in ((probabilities, forward), (probabilities[::-1], backward))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.2)


def test_a_cross_fitted_video_is_fused_with_weights_that_never_saw_it():
    """Turn one video's labels over: its own fused scores must not move."""
    probabilities, targets = members(videos=20)
    before = ensemble.cross_fit(probabilities, targets, folds=4, seed=1)
    changed = targets.copy()
    changed[3] = 1 - changed[3]
    after = ensemble.cross_fit(probabilities, changed, folds=4, seed=1)
    np.testing.assert_array_equal(after[3], before[3])


def test_each_fold_gets_the_weights_fitted_on_the_others():
    probabilities, targets = members(videos=20)
    fused = ensemble.cross_fit(probabilities, targets, folds=4, seed=1)
    fold = np.random.default_rng(1).permutation(20) % 4
    for number in range(4):
        weights = ensemble.fit_weights(probabilities[:, fold != number], targets[fold != number])
        expected = sum(w * p for w, p in zip(weights, probabilities[:, fold == number], strict=True))
        np.testing.assert_allclose(fused[fold == number], expected, rtol=1e-5)


def test_more_folds_than_videos_are_refused():
    probabilities, targets = members(videos=3)
    with pytest.raises(BadInput, match="3 val videos cannot be cut into 5 folds"):
        ensemble.cross_fit(probabilities, targets, folds=5, seed=0)


def test_given_weights_are_divided_by_their_sum():
    probabilities, targets = members()
    chosen = config(weights="given", given={"a": 3.0, "b": 1.0})
    assert ensemble.weights_for(chosen, probabilities[:2], targets).tolist() == [0.75, 0.25]
    assert ensemble.weights_for(config(weights="uniform"), probabilities[:2], targets).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(members=()), "at least one model"),
        (dict(members=("a", "a")), "each once"),
        (dict(folds=1), "folds must be at least 2"),
        (dict(weights="given"), "given holds the weights"),
        (dict(given={"a": 1.0, "b": 1.0}), "null otherwise"),
        (dict(weights="given", given={"a": 1.0}), r"given names \['a'\]"),
        (dict(weights="given", given={"a": -1.0, "b": 2.0}), "must not be negative"),
        (dict(weights="given", given={"a": 0.0, "b": 0.0}), "nor all zero"),
    ],
)
def test_senseless_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_members_that_agree_pass():
    ensemble.check_members({"a": table(), "b": table()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(videos=("x.mp4", "z.mp4")), "differ in their videos.*position 1.*'y.mp4' against 'z.mp4'"),
        (dict(videos=("y.mp4", "x.mp4")), "differ in their videos.*position 0"),
        (dict(videos=("x.mp4",)), "2 against 1.*'y.mp4' against 'nothing'"),
        (dict(classes=("run", "jump")), "differ in their classes"),
        (dict(labels=("run", "run")), "differ in their labels.*'jump' against 'run'"),
        (dict(broken=np.array([True, False])), "which videos are broken"),
    ],
)
def test_members_that_differ_are_named(changes, message):
    with pytest.raises(BadInput, match=f"'a' and 'b' .*{message}"):
        ensemble.check_members({"a": table(), "b": table(**changes)})


def test_the_submission_ranks_the_classes_of_each_video_in_manifest_order():
    text = ensemble.submission(table(videos=("x, 1.mp4", "y.mp4")), top=5)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["video", "class_1", "score_1", "class_2", "score_2"],
        ["x, 1.mp4", "run", "0.750000", "jump", "0.250000"],
        ["y.mp4", "jump", "0.500000", "run", "0.125000"],
    ]
