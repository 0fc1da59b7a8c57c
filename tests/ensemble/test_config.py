import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.ensemble.config import EnsembleConfig, check_members, check_scores
from pipeline.predictions.table import PredictionTable

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


def test_subsets_are_found_by_pattern_in_the_order_of_the_members():
    names = ("tsn_r101", "slowfast_8x8", "tin_r50", "fast_32x2")
    chosen = config(members=names, subsets={"image": ("tin_*", "ts?_*"), "video": ("slow*", "fast*"), "none": ("x",)})
    assert [chosen.subset(name) for name in chosen.subsets] == [[0, 2], [1, 3], []]


def test_a_pattern_behind_an_exclamation_mark_leaves_members_out_wherever_it_stands():
    names = ("tsm_r50", "tsm_flow_r50", "tsn_diff_r50", "slow_r50")
    chosen = config(members=names, subsets={"a": ("!*_flow_*", "ts?_*"), "b": ("ts?_*", "!*_flow_*", "!*_diff_*")})
    assert [chosen.subset(name) for name in chosen.subsets] == [[0, 2], [0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(members=()), "at least one model"),
        (dict(members=("a", "a")), "each once"),
        (dict(folds=1), "folds must be at least 2"),
        (dict(top=0), "top and resamples must be at least 1"),
        (dict(resamples=0), "top and resamples must be at least 1"),
        (dict(starts=-1), "finite and not negative"),
        (dict(shrinkage=-0.5), "finite and not negative"),
        (dict(shrinkage=float("nan")), "finite and not negative"),
        (dict(members=("a", "prior")), "'prior' needs another name"),
        (dict(members=("ensemble",)), "'ensemble' needs another name"),
        (dict(subsets={"all": ("a",)}), "cannot be called 'all'"),
        (dict(weights="given"), "given holds the weights"),
        (dict(given={"a": 1.0, "b": 1.0}), "null otherwise"),
        (dict(weights="given", given={"a": 1.0}), r"given names \['a'\]"),
        (dict(weights="given", given={"a": -1.0, "b": 2.0}), "not negative"),
        (dict(weights="given", given={"a": float("inf"), "b": 2.0}), "must be finite"),
        (dict(weights="given", given={"a": float("nan"), "b": 2.0}), "must be finite"),
        (dict(weights="given", given={"a": 0.0, "b": 0.0}), "nor all zero"),
    ],
)
def test_senseless_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_members_that_agree_pass():
    check_members({"a": table(), "b": table()})


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
    with pytest.raises(UserError, match=f"'a' and 'b' .*{message}"):
        check_members({"a": table(), "b": table(**changes)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_named(value):
    scores = table().probabilities.copy()
    scores[1, 0] = value
    with pytest.raises(UserError, match="'b' scores 'y.mp4', class 'jump', with (nan|inf|-inf).*infer@b"):
        check_scores("b", table(), scores)


def test_scores_of_another_shape_are_named():
    with pytest.raises(UserError, match=r"'b' has scores of the shape \(3, 2\) for \(2, 2\) videos and classes"):
        check_scores("b", table(), np.zeros((3, 2), np.float32))


@pytest.mark.parametrize("changes", [dict(videos=("x.mp4", "z.mp4")), dict(broken=np.array([True, False]))])
def test_members_are_mended_by_what_made_them(changes):
    imported = table(meta={"source": {"their scores.csv": "0" * 64}}, **changes)
    with pytest.raises(UserError) as refused:
        check_members({"ours": table(), "theirs": imported})
    assert "dvc repro --force infer@ours" in str(refused.value)
    assert "infer@theirs" not in str(refused.value), "there is no such stage"
    assert "scores import 'their scores.csv' --as theirs" in str(refused.value)
    with pytest.raises(UserError, match=r"scores import .* --as theirs"):
        check_scores("theirs", imported, np.full((2, 2), np.nan, np.float32))
