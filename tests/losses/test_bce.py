"""BCE against the golden values, a loop, and label smoothing by hand."""

import math

import numpy as np
import pytest
import torch

from pipeline.class_stats import ClassStatistics
from pipeline.losses import bce
from tests.support.golden import keys

GOLDEN = keys.read("losses")
STATISTICS = ClassStatistics(("a", "b", "c"), np.array([8, 2, 2]), videos=10)  # 4 on average


def bce_by_loop(logits, targets, weights):
    total = 0.0
    for s, y in zip(logits.tolist(), targets.tolist(), strict=True):
        for j, w in enumerate(weights):
            p = 1 / (1 + math.exp(-s[j]))
            total -= w * (y[j] * math.log(p) + (1 - y[j]) * math.log(1 - p))
    return total / logits.numel()


@pytest.mark.parametrize(("golden", "scale"), [("small_bce_mean", 1.0), ("small_bce_mean_x160", 160.0)])
def test_equals_x_temporal(golden, scale):
    logits = GOLDEN["small_scores"].clone().requires_grad_()
    value = bce.build(STATISTICS, scale=scale)(logits, GOLDEN["small_labels"])
    value.backward()

    torch.testing.assert_close(value, GOLDEN[golden])
    torch.testing.assert_close(logits.grad, GOLDEN[f"{golden}_grad"])


@pytest.mark.parametrize(
    ("class_weights", "weights"),
    [
        ("none", [1, 1, 1]),
        ("sqrt", [2**0.5, 0.5**0.5, 0.5**0.5]),
        ("linear", [2, 0.5, 0.5]),
        ("inverse_sqrt", [0.5**0.5, 2**0.5, 2**0.5]),
        ("inverse_linear", [0.5, 2, 2]),
    ],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_a_loop_with_every_class_weight(class_weights, weights, smoothing):
    logits = 3 * torch.randn(16, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.rand(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = bce.build(STATISTICS, scale=2.0, class_weights=class_weights, smoothing=smoothing)

    expected = bce_by_loop(logits, targets * (1 - smoothing) + smoothing / 2, weights)

    assert loss(logits, targets).item() == pytest.approx(2 * expected, rel=1e-6)  # weights are float32


def test_smoothing_moves_the_best_logit_from_infinity():
    loss = bce.build(STATISTICS, smoothing=0.1)
    best = torch.tensor([[math.log(1.9 / 0.1), -math.log(1.9 / 0.1)]], requires_grad=True)  # p = 0.95 and 0.05

    loss(best, torch.tensor([[1.0, 0.0]])).backward()

    assert best.grad.tolist() == [[pytest.approx(0, abs=1e-7)] * 2]


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"smoothing must be at least 0 and less than 1, not {smoothing}"):
        bce.build(STATISTICS, smoothing=smoothing)


def test_an_unknown_weight_is_refused():
    with pytest.raises(
        ValueError, match="class_weights must be one of none, sqrt, linear, inverse_sqrt, inverse_l.*'x'"
    ):
        bce.build(STATISTICS, class_weights="x")
