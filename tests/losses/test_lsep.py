"""LSEP against its definition, pair by pair.

The peer (moments_models) sums the exponentials of the whole batch before the logarithm; `*_intended_*` sum per video.
"""

import math

import pytest
import torch

from pipeline.losses.lsep import LSEP
from tests.support.golden import keys

GOLDEN = keys.read("losses")


def lsep_by_loop(logits, targets):
    videos = []
    for s, y in zip(logits.tolist(), targets.tolist(), strict=True):
        pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if not y[i] and y[j]]
        videos.append(math.log(1 + math.fsum(math.exp(s[i] - s[j]) for i, j in pairs)))
    return math.fsum(videos) / len(videos)


def test_equals_the_intended_value_and_gradient():
    logits = GOLDEN["small_scores"].clone().requires_grad_()
    value = LSEP(1.0)(logits, GOLDEN["small_labels"])
    value.backward()

    torch.testing.assert_close(value, GOLDEN["small_lsep_intended_per_sample"])
    torch.testing.assert_close(logits.grad, GOLDEN["small_lsep_intended_per_sample_grad"])


def test_the_sums_over_pairs_are_the_peers():
    scores, labels = GOLDEN["small_scores"], GOLDEN["small_labels"]
    sums = [math.expm1(LSEP(1.0)(s[None], y[None])) for s, y in zip(scores, labels, strict=True)]

    assert math.log1p(sum(sums)) == pytest.approx(GOLDEN["small_lsep_peer_batchsum"].item(), rel=1e-6)


def test_equals_a_loop_over_pairs():
    logits = 3 * torch.randn(16, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = (torch.rand(16, 13, generator=torch.Generator().manual_seed(1)) < 0.2).double()

    assert LSEP(2.0)(logits, targets).item() == pytest.approx(2 * lsep_by_loop(logits, targets), rel=1e-9)


def test_one_pair_by_hand():
    targets = torch.tensor([[1, 0]])

    assert LSEP(1.0)(torch.zeros(1, 2), targets).item() == pytest.approx(math.log(2))
    assert LSEP(1.0)(torch.tensor([[0.0, 200.0]]), targets).item() == 200  # exp would overflow
