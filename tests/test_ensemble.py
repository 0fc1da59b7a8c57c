import numpy as np
import pytest

from pipeline import ensemble, metrics
from pipeline.ensemble import EnsembleConfig
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable

SETTINGS = dict(
    members=("a", "b"),
    protocol="dense",
    weights="fitted",
    mean="probability",
    given=None,
    subsets={},
    starts=2,
    shrinkage=10.0,
    folds=2,
    resamples=20,
    seed=0,
    top=2,
)


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


def test_fusing_is_the_weighted_mean():
    scores = np.array([[[0.0, 1.0]], [[1.0, 0.5]]])
    assert ensemble.fuse(scores, np.array([0.25, 0.75]), "probability").tolist() == [[0.75, 0.625]]


def test_every_class_may_have_its_own_weights():
    scores = np.array([[[0.0, 1.0]], [[1.0, 0.5]]])
    own = np.array([[0.25, 1.0], [0.75, 0.0]])
    assert ensemble.fuse(scores, own, "probability").tolist() == [[0.75, 1.0]]


def test_the_mean_of_logits_is_the_geometric_one_of_odds():
    odds = np.array([[[1.0, 1 / 4]], [[16.0, 4.0]]])
    probabilities = (odds / (1 + odds)).astype(np.float32)
    fused = ensemble.fuse(ensemble.scale(probabilities, "logit"), np.array([0.5, 0.5]), "logit")
    assert fused[0].tolist() == pytest.approx([4 / 5, 1 / 2])  # odds of 4 and 1


def test_certain_probabilities_have_a_logit_that_keeps_their_order():
    sure = np.array([0.0, 1e-30, 0.5, 1 - 2**-23, 1.0], dtype=np.float32)
    logits = ensemble.scale(sure, "logit")
    assert np.isfinite(logits).all()
    assert (np.diff(logits) > 0).all()


def test_ranks_are_shares_and_ties_share_theirs():
    probabilities = np.array([[[0.1, 0.4, 0.2, 0.3], [0.5, 0.5, 0.9, 0.0]]], dtype=np.float32)
    assert ensemble.scale(probabilities, "rank").tolist() == [[[0.25, 1.0, 0.5, 0.75], [0.625, 0.625, 1.0, 0.25]]]


@pytest.mark.parametrize("mean", ensemble.MEANS)
def test_one_member_alone_keeps_its_order_in_every_mean(mean):
    rng = np.random.default_rng(0)
    probabilities, targets = rng.random((1, 30, 6)).astype(np.float32), np.eye(6, dtype=np.uint8)[np.arange(30) % 6]
    fused = ensemble.fuse(ensemble.scale(probabilities, mean), np.ones(1), mean)
    assert fused.dtype == np.float32
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert metrics.sample_map(fused, targets) == metrics.sample_map(probabilities[0], targets)


def test_subsets_are_found_by_pattern_in_the_order_of_the_members():
    names = ("tsn_r101", "slowfast_8x8", "tin_r50", "fast_32x2")
    chosen = config(members=names, subsets={"image": ("tin_*", "ts?_*"), "video": ("slow*", "fast*"), "none": ("x",)})
    assert [chosen.subset(name) for name in chosen.subsets] == [[0, 2], [1, 3], []]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(members=()), "at least one model"),
        (dict(members=("a", "a")), "each once"),
        (dict(folds=1), "folds must be at least 2"),
        (dict(top=0), "top and resamples at least 1"),
        (dict(resamples=0), "top and resamples at least 1"),
        (dict(starts=-1), "must not be negative"),
        (dict(shrinkage=-0.5), "must not be negative"),
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


def scores_with(value: float) -> np.ndarray:
    scores = table().probabilities.copy()
    scores[1, 0] = value
    return scores


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_named(value):
    bad = table(probabilities=scores_with(value))
    with pytest.raises(BadInput, match="'b' scores 'y.mp4', class 'jump', with (nan|inf|-inf).*infer@b"):
        ensemble.check_members({"a": table(), "b": bad})


def test_a_video_that_a_member_has_twice_is_named():
    with pytest.raises(BadInput, match="'b' has 'x.mp4' in rows 0 and 1.*infer@b"):
        ensemble.check_members({"a": table(), "b": table(videos=("x.mp4", "x.mp4"))})


def test_scores_of_another_shape_are_named():
    with pytest.raises(BadInput, match=r"'b' has scores of the shape \(3, 2\) for \(2, 2\) videos and classes"):
        ensemble.check_members({"a": table(), "b": table(probabilities=np.zeros((3, 2), np.float32))})
