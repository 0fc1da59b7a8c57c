"""Variants are compared on videos that their weights never saw."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from pipeline import metrics
from pipeline.core.errors import UserError
from pipeline.ensemble import averaging, cross_validate, weight_search
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.variants import Selection

SETTINGS = dict(
    members=("a", "b", "c"),
    protocol="dense",
    weights="best",
    mean="best",
    given=None,
    subsets={},
    starts=2,
    shrinkage=10.0,
    folds=4,
    resamples=20,
    seed=1,
    top=2,
)


def select(probabilities: np.ndarray, targets: np.ndarray, **changes) -> Selection:
    names = tuple("abcdefgh"[: len(probabilities)])
    return cross_validate.select(EnsembleConfig(**(SETTINGS | {"members": names} | changes)), probabilities, targets)


def members(seed: int = 0, videos: int = 40, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two members that are right about different classes, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    noise = rng.random((3, videos, classes)).astype(np.float32)
    knows = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0] * 6])
    return 0.1 + 0.5 * noise + 0.3 * (knows[:, None] * targets).astype(np.float32), targets


def folds(videos: int) -> np.ndarray:
    return np.random.default_rng(SETTINGS["seed"]).permutation(videos) % SETTINGS["folds"]


@pytest.mark.parametrize("mean", averaging.MEANS)
def test_no_weight_knows_the_labels_of_its_own_fold(mean):
    """Poison one fold, where the ignorant member now knows all: what was fitted without it stays, to the bit."""
    probabilities, targets = members()
    poisoned = np.random.default_rng(SETTINGS["seed"]).permutation(40) % 2 == 1
    bad_scores, bad_targets = probabilities.copy(), targets.copy()
    bad_targets[poisoned] = np.roll(targets[poisoned], 1, axis=1)
    bad_scores[:2, poisoned] = 0.75 - 0.5 * bad_targets[poisoned]
    bad_scores[2, poisoned] = 0.25 + 0.5 * bad_targets[poisoned]
    before, after = (select(p, t, mean=mean, folds=2) for p, t in ((probabilities, targets), (bad_scores, bad_targets)))
    for one, other in zip(before.variants, after.variants, strict=True):
        assert one.fold_weights[1].tobytes() == other.fold_weights[1].tobytes(), one.rule
    fitted = [v.rule for v, o in zip(before.variants, after.variants, strict=True) if (v.weights != o.weights).any()]
    assert {"fitted", "greedy", "per_class"} <= set(fitted), "the poison is strong enough to be seen"


def test_the_cross_fitted_scores_are_those_of_the_weights_of_each_fold():
    probabilities, targets = members()
    fold = folds(40)
    for variant in select(probabilities, targets, mean="probability").variants:
        for number in range(4):
            inside = fold == number
            own = variant.fold_weights[number].reshape(3, 1, -1)
            fused = (own * probabilities[:, inside]).sum(axis=0)
            expected = metrics.average_precision(fused, targets[inside])
            assert variant.crossfit[inside] == pytest.approx(expected)
        own = variant.weights.reshape(3, 1, -1)
        assert variant.fitted == pytest.approx(metrics.average_precision((own * probabilities).sum(axis=0), targets))


def test_the_variant_with_the_highest_cross_fitted_map_is_used():
    selection = select(*members())
    assert selection.used.figure == max(variant.figure for variant in selection.variants)
    tried = [(v.rule, v.mean) for v in selection.variants]
    assert len(set(tried)) == len(tried) == 13  # five rules, three means, but a single member has no mean
    assert selection.best_member == int(np.argmax([metrics.sample_map(p, members()[1]) for p in members()[0]]))


def test_what_flatters_is_not_used():
    """Members of pure noise: what is fitted looks best on its own videos, and is not used for that."""
    rng = np.random.default_rng(5)
    probabilities = rng.random((6, 40, 6)).astype(np.float32)
    targets = np.eye(6, dtype=np.uint8)[rng.integers(6, size=40)]
    selection = select(probabilities, targets)
    flattered = max(selection.variants, key=lambda v: v.fitted.mean())
    assert flattered.rule in ("fitted", "greedy", "per_class")
    assert flattered.figure < 100 * flattered.fitted.mean() - 5
    assert selection.used.figure >= flattered.figure


def test_a_rule_that_is_asked_for_is_used_even_where_another_is_better():
    selection = select(*members(), weights="uniform", mean="rank")
    assert selection.used.rule == "uniform"
    assert selection.used.weights.tolist() == [1 / 3] * 3
    assert selection.used.crossfit.tolist() == selection.used.fitted.tolist()
    assert select(*members(), weights="single").used.rule == "single"


def test_given_weights_are_divided_by_their_sum():
    given = {"a": 3.0, "b": 1.0, "c": 0.0}
    assert select(*members(), weights="given", given=given).used.weights.tolist() == [0.75, 0.25, 0.0]


@pytest.mark.parametrize("rule", weight_search.RULES)
def test_a_member_is_worth_what_is_lost_without_it(rule):
    """Members that know something are worth a lot; for uniform weights the loss is computed by hand."""
    probabilities, targets = members(videos=120)
    selection = select(probabilities, targets, weights=rule, mean="probability")
    if rule == "uniform":
        all_of_them, without = (metrics.sample_map(p.mean(axis=0), targets) for p in (probabilities, probabilities[1:]))
        assert selection.worth[0] == pytest.approx(all_of_them - without)
    elif rule != "single":
        assert min(selection.worth[:2]) > 5 > abs(selection.worth[2])


@pytest.mark.parametrize("rule", ["fitted", "greedy", "per_class"])
def test_the_worth_is_close_to_that_of_a_whole_new_search_without_the_member(rule):
    """Also of a member that had most of the weight, without which the others must move far."""
    probabilities, targets = members(videos=400)
    probabilities[1] = 0.25 * probabilities[1] + 0.75 * probabilities[2]  # so that the first has most
    selection = select(probabilities, targets, weights=rule, mean="probability")
    assert selection.used.weights.reshape(3, -1).mean(axis=1)[0] > 0.5
    anew = select(probabilities[1:], targets, weights=rule, mean="probability").used
    assert selection.worth[0] > 10
    near = 1e-9 if rule == "greedy" else 0.25  # the greedy rule is run anew, the others go on from what is left
    assert selection.worth[0] == pytest.approx(selection.used.figure - anew.figure, abs=near)


def test_what_nothing_is_left_without_has_no_worth():
    probabilities, targets = members()
    assert select(probabilities[:1], targets).worth == (None,)
    given = {"a": 0.0, "b": 2.0, "c": 0.0}
    worth = select(probabilities, targets, weights="given", given=given, mean="probability").worth
    assert worth[1] is None
    assert worth[0] == worth[2] == 0


def test_a_subset_is_an_ensemble_of_its_members_alone():
    probabilities, targets = members()
    subsets = {"ends": ("a", "c"), "one": ("b",), "everyone": ("*",), "nobody": ("x*",)}
    selection = select(probabilities, targets, weights="fitted", mean="logit", subsets=subsets)
    assert set(selection.subsets) == {"ends"}
    positions, variant = selection.subsets["ends"]
    alone = select(probabilities[[0, 2]], targets, weights="fitted", mean="logit").used
    assert positions == [0, 2]
    assert variant.weights.tobytes() == alone.weights.tobytes()
    assert variant.crossfit.tobytes() == alone.crossfit.tobytes()


def test_a_subset_whose_given_weights_are_all_zero_is_left_out():
    given = {"a": 0.0, "b": 2.0, "c": 0.0}
    selection = select(*members(), weights="given", given=given, subsets={"ends": ("a", "c")})
    assert selection.subsets == {}


def test_the_same_members_give_the_same_bytes():
    first, again = (select(*members()) for _ in range(2))
    for one, other in zip(first.variants, again.variants, strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.crossfit.tobytes() == other.crossfit.tobytes()
    assert first.worth == again.worth


@pytest.mark.slow
def test_two_processes_find_what_one_finds(monkeypatch):
    alone = select(*members(), subsets={"ends": ("a", "c")})
    monkeypatch.setattr(cross_validate, "_MANY_SCORES", 0)
    shared = select(*members(), subsets={"ends": ("a", "c")})
    assert alone.worth == shared.worth
    pairs = [*zip(alone.variants, shared.variants, strict=True), (alone.subsets["ends"][1], shared.subsets["ends"][1])]
    for one, other in pairs:
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.crossfit.tobytes() == other.crossfit.tobytes()


def test_the_order_of_the_members_hardly_matters():
    probabilities, targets = members(videos=120)
    both = (probabilities, probabilities[::-1])
    forward, backward = (select(p, targets, weights="fitted", mean="probability").used for p in both)
    assert 100 * forward.fitted.mean() == pytest.approx(100 * backward.fitted.mean(), abs=0.2)


def test_more_folds_than_videos_are_refused():
    probabilities, targets = members(videos=3)
    with pytest.raises(UserError, match="3 val videos cannot be cut into 5 folds"):
        select(probabilities, targets, folds=5)


@pytest.mark.parametrize("weights", ["uniform", "single", "greedy", "fitted", "per_class"])
def test_what_is_said_of_a_class_that_is_not_known_moves_nothing(weights):
    probabilities, targets = members()
    targets = np.where(np.random.default_rng(5).random(targets.shape) < 0.3, -1, targets.astype(np.int8))
    others = np.where(targets < 0, np.random.default_rng(6).random(targets.shape, dtype=np.float32), probabilities)
    found, again = (select(scores, targets, weights=weights, mean="probability") for scores in (probabilities, others))
    np.testing.assert_allclose(again.used.weights, found.used.weights, atol=1e-6)
    np.testing.assert_allclose(again.crossfit, found.crossfit, atol=1e-6)
    fused = (found.used.weights.reshape(3, 1, -1) * probabilities).sum(axis=0)
    known = [(t[t >= 0][None], s[t >= 0][None]) for t, s in zip(targets, fused, strict=True)]
    expected = [label_ranking_average_precision_score(*one) if one[0].size else 1.0 for one in known]
    np.testing.assert_allclose(found.used.fitted, expected, atol=1e-6)
