"""Least-squares weights of each class, against a grid over the simplex and cases that can be read."""

import itertools

import numpy as np
import pytest

from pipeline.ensemble import least_squares


def members(seed: int = 0, videos: int = 60, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two members that are right about different classes, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((videos, classes)) < 0.3).astype(np.uint8)
    targets[np.arange(videos), rng.integers(classes, size=videos)] = 1
    noise = rng.random((3, videos, classes)).astype(np.float32)
    knows = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0] * 6])
    return 0.5 * noise + 0.5 * (knows[:, None] * targets).astype(np.float32), targets


def test_perfect_members_and_no_shrinkage_leave_the_weights_at_the_centre():
    targets = np.eye(4, dtype=np.uint8)
    perfect = np.stack([targets, targets]).astype(np.float32)
    assert (
        least_squares.fit(least_squares.error_products(perfect, targets), np.array([0.25, 0.75]), 0.0).T.tolist()
        == [[0.25, 0.75]] * 4
    )


def test_each_class_leaves_the_centre_towards_the_member_that_knows_it():
    probabilities, targets = members(videos=400)
    found = least_squares.fit(least_squares.error_products(probabilities, targets), np.full(3, 1 / 3), shrinkage=1.0)
    assert (found[0, :3] > 1 / 2).all()
    assert (found[1, 3:] > 1 / 2).all()


def test_shrinkage_holds_the_classes_at_the_centre_and_the_rare_ones_more():
    probabilities, targets = members(videos=400)
    few = slice(0, 40)  # what a class with a tenth of the videos looks like
    centre = np.array([0.25, 0.25, 0.5])
    many_errors, few_errors = (
        least_squares.error_products(probabilities[:, v], targets[v]) for v in (slice(None), few)
    )
    assert least_squares.fit(many_errors, centre, 1e9) == pytest.approx(np.tile(centre[:, None], 6), abs=1e-4)
    moved = [np.abs(least_squares.fit(e, centre, 10.0) - centre[:, None]).sum() for e in (many_errors, few_errors)]
    assert moved[0] > 1.5 * moved[1]


def test_the_weights_of_a_class_have_the_least_penalised_error():
    """Against every point of a grid over the simplex, by the definition."""
    probabilities, targets = members()
    centre, shrinkage = np.array([0.5, 0.3, 0.2]), 3.0
    found = least_squares.fit(least_squares.error_products(probabilities, targets), centre, shrinkage)

    def penalised(w: np.ndarray, c: int) -> float:
        squared = ((np.tensordot(w, probabilities[:, :, c], axes=1) - targets[:, c]) ** 2).sum()
        return squared + shrinkage * ((w - centre) ** 2).sum() / 2

    grid = [np.array(w) / 40 for w in itertools.product(range(41), repeat=3) if sum(w) == 40]
    for c in range(6):
        assert penalised(found[:, c], c) <= min(penalised(w, c) for w in grid) + 1e-4


def test_errors_are_products_of_what_is_wrong():
    probabilities = np.array([[[0.75, 0.5]], [[0.25, 1.0]]], dtype=np.float32)
    found = least_squares.error_products(probabilities, np.array([[1, 0]]))
    assert found[0].tolist() == [[0.0625, 0.1875], [0.1875, 0.5625]]  # wrong by -1/4 and -3/4
    assert found[1].tolist() == [[0.25, 0.5], [0.5, 1.0]]


def test_points_are_projected_on_the_simplex():
    points = np.array([[0.2, 0.3, 0.5], [2.0, 0.0, 0.0], [1.0, 1.0, -5.0], [0.0, 0.0, 0.0]])
    expected = [[0.2, 0.3, 0.5], [1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]
    assert least_squares.project_on_simplex(points) == pytest.approx(np.array(expected))


def test_nobody_errs_where_a_label_is_not_known():
    rng = np.random.default_rng(3)
    probabilities, targets = rng.random((3, 20, 4), dtype=np.float32), rng.integers(-1, 2, size=(20, 4))
    found = least_squares.error_products(probabilities, targets)
    for number in range(4):
        known = targets[:, number] >= 0
        wrong = probabilities[:, known, number].astype(np.float64) - targets[known, number]
        assert found[number] == pytest.approx(wrong @ wrong.T, rel=1e-5)
