"""Samples dealt to parts: shares of every label, whole groups, and the splits that were made before."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.core import files
from pipeline.core.stratify import stratified

SHARES = 0.7, 0.15, 0.15


def count(labels: Sequence[tuple[str, ...]], parts: Sequence[int]) -> Counter[tuple[str, int]]:
    return Counter((name, part) for sample, part in zip(labels, parts, strict=True) for name in sample)


def many_labels(videos: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Nine labels, the first on 2 % of the videos, the last on 40 %; every video has one at least."""
    rng = np.random.default_rng(seed)
    has = rng.random((videos, 9)) < np.linspace(0.02, 0.4, 9)
    return [tuple(f"label {column}" for column in np.flatnonzero(row)) or ("label 8",) for row in has]


def people(videos: int, seed: int) -> list[str]:
    """The group of each video: as many groups as a tenth of the videos, of very unequal sizes."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(videos // 10))
    return [f"person {number}" for number in rng.choice(len(share), videos, p=share)]


def test_the_splits_that_were_made_before_stay_as_they_were():
    parts = stratified(many_labels(500), SHARES, seed=3)

    assert files.fingerprint(parts) == "9f984478ec41a7576f91588c44b3bd85"


def test_a_single_label_is_dealt_in_proportion():
    assert Counter(stratified([("run",)] * 40, SHARES, seed=0)) == {0: 28, 1: 6, 2: 6}


def test_every_label_is_dealt_in_proportion():
    labels = many_labels(2000)
    found = count(labels, stratified(labels, SHARES, seed=0))

    for name in sorted({name for sample in labels for name in sample}):
        total = sum(found[name, part] for part in range(3))
        for part, share in enumerate(SHARES):
            assert abs(found[name, part] - share * total) <= max(2, 0.02 * total)


def test_another_seed_deals_otherwise():
    labels = many_labels(100)
    parts = [stratified(labels, SHARES, seed=seed) for seed in (0, 1, 0)]

    assert parts[0] == parts[2]
    assert parts[0] != parts[1]


def test_the_samples_are_shuffled():
    assert set(stratified([("run",)] * 40, SHARES, seed=0)[:28]) != {0}


@pytest.mark.parametrize("seed", range(5))
def test_a_label_that_occurs_once_goes_to_the_first_part(seed: int):
    labels = [*many_labels(50, seed), ("once",), ("also once", "label 8")]

    assert stratified(labels, SHARES, seed=seed)[-2:] == [0, 0]


def test_where_all_parts_want_as_much_the_first_gets_it():
    assert stratified([("once",)], (1 / 3, 1 / 3, 1 / 3), seed=0) == [0]


@pytest.mark.parametrize("seed", range(20))
def test_every_label_has_a_sample_in_the_first_part(seed: int):
    labels = many_labels(12, seed)
    found = count(labels, stratified(labels, (0.4, 0.3, 0.3), seed=seed))

    assert all(found[name, 0] for sample in labels for name in sample)


@pytest.mark.parametrize("seed", range(20))
def test_no_part_is_empty_where_there_are_groups_enough(seed: int):
    labels = many_labels(30, seed)
    groups = [f"person {number % 3}" for number in range(30)]

    assert set(stratified(labels, (0.9, 0.05, 0.05), seed, groups)) == {0, 1, 2}
    assert set(stratified(labels[:3], (0.9, 0.05, 0.05), seed)) == {0, 1, 2}


@pytest.mark.parametrize("seed", range(20))
def test_a_group_is_never_torn_apart(seed: int):
    labels, groups = many_labels(200, seed), people(200, seed)
    parts = stratified(labels, [0.2] * 5, seed, groups)

    assert len(set(zip(groups, parts, strict=True))) == len(set(groups))


def test_a_group_of_one_sample_each_is_no_group():
    labels = [sample[:1] for sample in many_labels(100)]

    assert stratified(labels, SHARES, 0, [str(n) for n in range(100)]) == stratified(labels, SHARES, 0)


def unevenness(labels: Sequence[tuple[str, ...]], parts: Sequence[int]) -> float:
    """Mean over labels of the standard deviation over five parts of the part's share of the label."""
    found = count(labels, parts)
    names = sorted({name for sample in labels for name in sample})
    of_label = np.array([[found[name, part] for part in range(5)] for name in names])
    return float((of_label / of_label.sum(axis=1, keepdims=True)).std(axis=1).mean())


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_grouped_folds_are_about_as_even_as_those_of_scikit_learn():
    ours, theirs = [], []
    for seed in range(30):
        labels, groups = [sample[:1] for sample in many_labels(300, seed)], people(300, seed)
        ours.append(unevenness(labels, stratified(labels, [0.2] * 5, seed, groups)))
        folds = StratifiedGroupKFold(5).split(labels, [name for (name,) in labels], groups)
        parts = np.zeros(300, dtype=int)
        for part, (_, held_out) in enumerate(folds):
            parts[held_out] = part
        theirs.append(unevenness(labels, parts.tolist()))

    assert np.mean(ours) < 1.05 * np.mean(theirs)


def test_samples_without_a_label_even_out_the_sizes():
    parts = stratified([("run",)] * 10 + [()] * 30, (0.5, 0.5), seed=0)

    assert Counter(parts) == {0: 20, 1: 20}
