"""WARP against its definition, pair by pair, and values that can be read.

The peer (moments_models) has a NaN gradient everywhere, and weighs a label by the class at its position in the ranking
instead of by its rank; `*_intended_*` follow the definition.
"""

import pytest
import torch

from pipeline.losses.warp import WARP
from tests.support.golden import keys

GOLDEN = keys.read("losses")


def harmonic(rank):
    return sum(1 / k for k in range(1, rank + 1))


def rank(s, j):
    return sum(other >= s[j] for other in s)


def warp_by_loop(logits, targets, rank=rank):
    terms = []
    for s, y in zip(logits.tolist(), targets.tolist(), strict=True):
        absent = [s[i] for i in range(len(s)) if not y[i]]
        for j in range(len(s)):
            if y[j]:
                hinges = [max(0, 1 + s_i - s[j]) for s_i in absent]
                terms.append(harmonic(rank(s, j)) * sum(hinges) / max(len(absent), 1))
    return sum(terms) / len(terms)


def test_equals_the_intended_value_and_gradient():
    logits = GOLDEN["small_scores"].clone().requires_grad_()
    value = WARP(1.0)(logits, GOLDEN["small_labels"])
    value.backward()

    torch.testing.assert_close(value, GOLDEN["small_warp_intended_true_rank"])
    torch.testing.assert_close(logits.grad, GOLDEN["small_warp_intended_true_rank_grad"])


def test_all_but_the_rank_is_as_in_the_peer():
    def class_at_position(s, j):
        return sorted(range(len(s)), key=lambda i: -s[i])[j] + 1

    value = warp_by_loop(GOLDEN["small_scores"], GOLDEN["small_labels"], class_at_position)

    assert value == pytest.approx(GOLDEN["small_warp_peer"].item(), rel=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_equals_a_loop_over_pairs(share):
    logits = 3 * torch.randn(16, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = (torch.rand(16, 13, generator=torch.Generator().manual_seed(1)) < share).double()

    assert WARP(2.0)(logits, targets).item() == pytest.approx(2 * warp_by_loop(logits, targets), rel=1e-12)


def test_equals_a_loop_over_pairs_with_many_ties():
    logits = torch.randint(-2, 3, (32, 9), generator=torch.Generator().manual_seed(0)).double()
    targets = (torch.rand(32, 9, generator=torch.Generator().manual_seed(1)) < 0.3).double()

    assert WARP(1.0)(logits, targets).item() == pytest.approx(warp_by_loop(logits, targets), rel=1e-12)


def test_float32_keeps_its_digits_far_from_zero():
    logits = torch.randint(-8, 9, (16, 313), generator=torch.Generator().manual_seed(0)) / 4 + 2**16  # exact in float32
    targets = (torch.rand(16, 313, generator=torch.Generator().manual_seed(1)) < 0.01).float()

    assert WARP(1.0)(logits, targets).item() == pytest.approx(warp_by_loop(logits, targets), rel=1e-6)


def test_a_label_in_third_place_by_hand():
    logits, targets = torch.tensor([[4.0, 2.5, 2.0, 1.5, 0.0]]), torch.tensor([[0, 0, 1, 0, 0]])

    value = WARP(1.0)(logits, targets)

    hinges = (1 + 4 - 2) + (1 + 2.5 - 2) + (1 + 1.5 - 2) + 0
    assert value.item() == pytest.approx((1 + 1 / 2 + 1 / 3) * hinges / 4)


def test_other_labels_take_places_but_are_not_pushed():
    logits, targets = torch.tensor([[9.0, 0.0, 0.0]], requires_grad=True), torch.tensor([[1, 1, 0]])

    value = WARP(1.0)(logits, targets)
    value.backward()

    assert value.item() == pytest.approx(harmonic(3) * 1 / 2)  # the mean over two labels, of which one costs nothing
    assert logits.grad.tolist() == [[0, pytest.approx(-harmonic(3) / 2), pytest.approx(harmonic(3) / 2)]]


def test_a_tie_counts_as_lost():
    value = WARP(1.0)(torch.zeros(1, 4), torch.tensor([[1, 0, 0, 0]]))

    assert value.item() == pytest.approx(harmonic(4))
