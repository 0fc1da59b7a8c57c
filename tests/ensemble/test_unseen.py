"""Members that do not see every video, against loops that drop them and divide the weights of the others."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.metrics
from scipy.stats import rankdata

from pipeline import class_stats, metrics
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.ensemble import averaging, cross_validate, log_loss, unseen
from pipeline.ensemble import run as ensemble_run
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.fast_map import RankMargins
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores, protocol_table
from tests.ensemble.test_run import GRID, SETTINGS, scikit_lrap
from tests.support import tiny


def case(seed: int = 0, videos: int = 40, classes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities in steps of 1/64 of three members, many-hot labels, and who sees what: the second sees half.

    The third sees all but two videos, and one of those the second does not see either.
    """
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    noise = rng.integers(1, 33, size=(3, videos, classes)) / 64
    sees = np.ones((3, videos), bool)
    sees[1, ::2] = sees[2, :2] = False
    scores = noise + np.array([0.25, 0.25, 0.125])[:, None, None] * targets
    scores[~sees] = 0.25  # the prior
    return scores.astype(np.float32), targets, sees


def by_hand(probabilities: np.ndarray, weights: np.ndarray, sees: np.ndarray, mean: str, task: str) -> np.ndarray:
    """The fused scores, video by video and class by class."""
    members, videos, classes = probabilities.shape
    own = np.broadcast_to(weights.reshape(members, -1), (members, classes))
    scaled = {"probability": lambda p: p, "rank": lambda p: rankdata(p, axis=-1)}
    scaled["logit"] = scipy.special.logit if task == MULTI_LABEL else np.log
    fused = np.empty((videos, classes))
    for v in range(videos):
        there = [m for m in range(members) if sees[m, v]]
        for c in range(classes):
            left = [own[m, c] for m in there]
            left = [w / sum(left) for w in left] if sum(left) else [1 / len(there)] * len(there)
            values = [scaled[mean](probabilities[m, v].astype(float))[c] for m in there]
            fused[v, c] = sum(w * x for w, x in zip(left, values, strict=True))
    if mean == "logit":
        return scipy.special.expit(fused) if task == MULTI_LABEL else scipy.special.softmax(fused, axis=1)
    return fused / classes if mean == "rank" else fused


WEIGHTS = {
    "all": np.array([0.5, 0.25, 0.25]),
    "none left": np.array([0.0, 1.0, 0.0]),
    "by class": np.array([[1.0, 0.5, 0, 0, 0.25], [0.0, 0.25, 1, 0, 0.5], [0.0, 0.25, 0, 1, 0.25]]),
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS.keys())
@pytest.mark.parametrize("mean", averaging.MEANS)
def test_a_member_is_left_out_of_the_videos_that_it_does_not_see(mean, weights):
    probabilities, _, sees = case()
    scaled = averaging.scale(probabilities, mean, MULTI_LABEL)
    fused = averaging.fuse(scaled, weights, mean, MULTI_LABEL, sees=sees)
    np.testing.assert_allclose(fused, by_hand(probabilities, weights, sees, mean, MULTI_LABEL), rtol=2e-6)
    some = np.array([7, 0, 3])
    np.testing.assert_array_equal(averaging.fuse(scaled, weights, mean, MULTI_LABEL, some, sees), fused[some])


@pytest.mark.parametrize("mean", averaging.MEANS[:2])
def test_so_it_is_where_each_video_has_one_label(mean):
    probabilities, _, sees = case()
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    scaled = averaging.scale(probabilities, mean, SINGLE_LABEL)
    fused = averaging.fuse(scaled, WEIGHTS["all"], mean, SINGLE_LABEL, sees=sees)
    expected = by_hand(probabilities, WEIGHTS["all"], sees, mean, SINGLE_LABEL)
    np.testing.assert_allclose(fused, expected, rtol=2e-6)
    assert fused.sum(axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("mean", averaging.MEANS)
def test_where_every_member_sees_all_not_a_bit_differs(mean):
    probabilities, _, sees = case()
    scaled = averaging.scale(probabilities, mean, MULTI_LABEL)
    plain = averaging.fuse(scaled, WEIGHTS["by class"], mean, MULTI_LABEL)
    everyone = averaging.fuse(scaled, WEIGHTS["by class"], mean, MULTI_LABEL, sees=np.ones_like(sees))
    assert plain.tobytes() == everyone.tobytes()


def test_a_video_that_no_member_sees_keeps_the_prior():
    probabilities = np.full((2, 1, 3), 0.25, np.float32)
    fused = averaging.fuse(probabilities, np.array([0.0, 1.0]), "probability", MULTI_LABEL, sees=np.zeros((2, 1), bool))
    assert fused.tolist() == [[0.25] * 3]


@pytest.mark.parametrize("mean", averaging.MEANS)
@pytest.mark.parametrize("seed", range(3))
def test_the_margins_have_the_average_precision_of_the_fused_scores(mean, seed):
    """Scores in steps of 1/64, so that ties are ties; and weights of which some member that sees has one."""
    probabilities, targets, sees = case(seed)
    scaled = averaging.scale(probabilities, mean, MULTI_LABEL)
    margins = RankMargins.from_scores(scaled, targets, averaging.TIE_TOLERANCE[mean], sees)
    for weights in (np.array([4, 4, 0]) / 8, np.array([2, 1, 5]) / 8, np.array([1, 0, 0])):
        fused = by_hand(probabilities, weights, sees, mean, MULTI_LABEL).round(9)
        expected = metrics.average_precision(fused, targets)
        assert margins.average_precision(margins.fuse(weights)) == pytest.approx(expected, abs=1e-12)
        near = margins.near(weights, 0.1)
        assert near.average_precision(near.fuse(weights)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mean", averaging.MEANS[:2])
def test_the_least_log_loss_is_that_of_the_ensemble_as_it_is_fused(mean):
    probabilities, targets, sees = case(videos=60)
    one_hot = np.eye(5, dtype=np.uint8)[targets.argmax(axis=1)]
    probabilities /= probabilities.sum(axis=2, keepdims=True)

    def loss(weights: np.ndarray) -> float:
        fused = by_hand(probabilities, np.maximum(weights, 1e-9), sees, mean, SINGLE_LABEL)
        fused /= fused.sum(axis=1, keepdims=True)
        return sklearn.metrics.log_loss(one_hot.argmax(axis=1), fused, labels=range(5))

    one = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = scipy.optimize.minimize(loss, [1 / 3] * 3, bounds=[(0, 1)] * 3, constraints=[one], method="SLSQP")
    found = log_loss.fit(averaging.scale(probabilities, mean, SINGLE_LABEL), one_hot, mean, sees)
    assert found.sum() == pytest.approx(1)
    assert loss(found) <= best.fun + 1e-3


def config(**changes) -> EnsembleConfig:
    return EnsembleConfig(**(SETTINGS | {"members": ("a", "b", "c"), "weights": "best", "mean": "best"} | changes))


@pytest.mark.parametrize("task", [MULTI_LABEL, SINGLE_LABEL])
def test_every_variant_is_compared_as_it_is_fused(task):
    probabilities, targets, sees = case()
    if task == SINGLE_LABEL:
        targets = np.eye(5, dtype=np.uint8)[targets.argmax(axis=1)]
        probabilities /= probabilities.sum(axis=2, keepdims=True)
    settings = config(subsets={"last": ("b", "c")})
    found = cross_validate.select(settings, probabilities, targets, task, sees)
    fold_of = np.random.default_rng(settings.seed).permutation(40) % settings.folds
    for variant in found.variants:
        for fold, weights in enumerate(variant.fold_weights):
            fused = by_hand(probabilities, weights, sees, variant.mean, task).astype(np.float32)
            inside = fold_of == fold
            shares = metrics.per_video(task, fused, targets)
            assert variant.crossfit[inside] == pytest.approx(shares[inside], abs=1e-9), variant.rule
    members, part = found.subsets["last"]
    assert members == [1, 2]
    where = sees[1:] | ~sees[1:].any(axis=0)
    fused = by_hand(probabilities[1:], part.weights, where, part.mean, task).astype(np.float32)
    assert part.fitted == pytest.approx(metrics.per_video(task, fused, targets), abs=1e-9)


def test_a_member_is_worth_what_is_lost_without_it_as_the_others_see():
    probabilities, targets, sees = case()
    found = cross_validate.select(config(weights="uniform", mean="probability"), probabilities, targets, sees=sees)
    for member in range(3):
        others = [m for m in range(3) if m != member]
        figures = []
        for chosen in ([0, 1, 2], others):
            where = sees[chosen] | ~sees[chosen].any(axis=0)
            even = np.full(len(chosen), 1 / len(chosen))
            fused = by_hand(probabilities[chosen], even, where, "probability", MULTI_LABEL).astype(np.float32)
            figures.append(scikit_lrap(fused, targets))
        assert found.worth[member] == pytest.approx(figures[0] - figures[1], abs=1e-6)


def test_a_gain_is_over_the_best_member_with_the_prior_where_it_does_not_see():
    """The member that is best by itself, although it does not see every second video."""
    probabilities, targets, sees = case()
    probabilities[[0, 2]] = np.random.default_rng(1).random((2, 40, 5)) * (1 - 0.5 * targets)
    probabilities[1][sees[1]] = (0.25 + 0.5 * targets)[sees[1]]
    found = cross_validate.select(config(), probabilities, targets, sees=sees)
    assert found.best_member == 1
    assert found.crossfit_single == pytest.approx(metrics.average_precision(probabilities[1], targets))
    single = next(variant for variant in found.variants if variant.rule == "single")
    assert not np.allclose(single.crossfit, found.crossfit_single), "the others answer where it does not see"


def test_a_member_that_does_not_see_answers_like_the_mean_of_the_others():
    probabilities, _, sees = case()
    filled = unseen.filled(probabilities, sees)
    np.testing.assert_array_equal(filled[sees], probabilities[sees])
    assert filled[1, 4] == pytest.approx((probabilities[0, 4] + probabilities[2, 4]) / 2)
    assert filled[2, 0] == pytest.approx(probabilities[0, 0])


BLIND = {"val": [1, 4], "test": [0]}
"""Videos that the second member cannot see; the last test video is broken."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("unseen")
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=8)
    for seed, member in enumerate("ab"):
        for split in ("val", "test"):
            part = manifest.split(split)
            broken = np.array([video not in store for video in part.videos])
            blind = np.isin(np.arange(len(part)), BLIND[split] if member == "b" else []) & ~broken
            rng = np.random.default_rng(seed)
            logits = rng.normal(size=(len(part), len(GRID["views"]), 3)) + 2 * part.targets()[:, None]
            logits[blind] = -1
            scores = ViewScores(logits.astype(np.float16), GRID)
            folder = tmp_path / "predictions" / member
            folder.mkdir(parents=True, exist_ok=True)
            protocol_table(part, broken, scores, "multiscale", {"checkpoint": member}, blind).write(
                folder / f"{split}.parquet"
            )
            scores.write(folder, split)
    settings = EnsembleConfig(**(SETTINGS | {"weights": "uniform"}))
    results = ensemble_run.run_ensemble(settings, manifest, statistics, tmp_path / "predictions", tmp_path / "ensemble")
    return tmp_path, manifest, results


def test_a_run_leaves_the_member_out_and_says_what_it_does_not_see(corpus):
    folder, manifest, results = corpus
    found = json.loads((folder / "ensemble/figures.json").read_text())
    shown = results.flat()
    for split, blind in BLIND.items():
        targets = manifest.split(split).targets()
        members = [ViewScores.read(folder / "predictions" / m, split).probabilities("dense") for m in "ab"]
        expected = (members[0] + members[1]) / 2
        expected[blind] = members[0][blind]
        fused = PredictionTable.read(folder / f"ensemble/{split}.parquet")
        np.testing.assert_allclose(fused.probabilities, expected, rtol=1e-6)
        assert not fused.unseen.any()
        sees = ~np.isin(np.arange(len(targets)), blind)
        assert shown["b"][f"{split}_dense"] == pytest.approx(scikit_lrap(members[1], targets))
        assert shown["b"][f"{split}_dense_seen"] == pytest.approx(scikit_lrap(members[1][sees], targets[sees]))
        assert shown["videos"][f"b_{split}_n_unseen"] == len(blind) == found["b"][split]["n_unseen"]
        assert found["b"][f"{split}_seen"]["n_expected"] == sees.sum()
        final = ViewScores.read(folder / "predictions/b", split).probabilities("multiscale")
        assert found["b"][f"{split}_seen"]["mAP"] == pytest.approx(scikit_lrap(final[sees], targets[sees]))
    assert "a_val_n_unseen" not in shown["videos"]
    assert "n_unseen" not in found["ensemble"]["val"]
    assert json.loads((folder / "ensemble/weights.json").read_text())["unseen"] == {"b": {"val": 2, "test": 1}}


def test_the_tables_have_both_figures_of_a_member_that_does_not_see_all(corpus):
    folder, _, results = corpus
    lines = (folder / "ensemble/tables.md").read_text().splitlines()
    assert "* val: cannot be seen: 2 by b" in lines
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    for name, by in (("b", results.members["b"]), ("b (seen)", results.where_seen["b"])):
        assert [name, *(f"{one.value:.2f}" for split in ("val", "test") for one in by[split].values())] in rows
    assert not any("a (seen)" in line for line in lines)


def test_a_video_that_no_member_sees_is_unseen_by_the_ensemble(corpus, tmp_path):
    folder, manifest, _ = corpus
    shutil.copytree(folder / "predictions", tmp_path / "predictions")
    for member in "ab":
        file = tmp_path / f"predictions/{member}/val.parquet"
        table = PredictionTable.read(file)
        dataclasses.replace(table, unseen=table.unseen | (np.arange(8) == 1)).write(file)
    settings = EnsembleConfig(**(SETTINGS | {"weights": "uniform"}))
    statistics = class_stats.count(manifest.split("train"))
    results = ensemble_run.run_ensemble(settings, manifest, statistics, tmp_path / "predictions", tmp_path / "out")
    assert PredictionTable.read(tmp_path / "out/val.parquet").unseen.tolist() == [False, True] + [False] * 6
    assert results.denominators["val"] == {"n_expected": 8, "n_scored": 6, "n_broken": 1, "n_unseen": 1}
    assert "* val: cannot be seen: 1 by a, 2 by b, 1 by all" in (tmp_path / "out/tables.md").read_text()
