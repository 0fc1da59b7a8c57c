"""Cross-entropy against torch's, which takes class numbers, and against a loop."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.losses import auto, cross_entropy

STATISTICS = ClassStatistics(("a", "b", "c"), np.array([8, 2, 2]), videos=12)  # 4 on average
LABEL = torch.tensor([0, 2, 1, 0, 0])
LOGITS = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_torch_on_class_numbers(smoothing):
    loss = cross_entropy.build(STATISTICS, scale=2.0, smoothing=smoothing)

    expected = 2 * F.cross_entropy(LOGITS, LABEL, label_smoothing=smoothing)
    assert loss(LOGITS, F.one_hot(LABEL, 3)).item() == pytest.approx(expected.item(), rel=1e-12)


def test_equals_a_loop_with_class_weights_and_shares_of_two_labels():
    weights, shares = [0.5**0.5, 2**0.5, 2**0.5], [[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]]
    loss = cross_entropy.build(STATISTICS, class_weights="inverse_sqrt")

    total = 0.0
    for row, share in zip(LOGITS[:2].tolist(), shares, strict=True):
        normaliser = math.log(sum(math.exp(s) for s in row))
        total -= sum(w * y * (s - normaliser) for w, y, s in zip(weights, share, row, strict=True))
    assert loss(LOGITS[:2], torch.tensor(shares)).item() == pytest.approx(total / 2, rel=1e-6)  # weights are float32


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes():
    loss = cross_entropy.build(STATISTICS)
    assert loss(torch.zeros(2, 3), torch.eye(3)[:2]).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"smoothing must be at least 0 and less than 1, not {smoothing}"):
        cross_entropy.build(STATISTICS, smoothing=smoothing)


def test_an_unknown_weight_is_refused():
    with pytest.raises(ValueError, match="class_weights must be one of none, sqrt, linear.*'x'"):
        cross_entropy.build(STATISTICS, class_weights="x")


def test_auto_names_the_usual_loss_of_a_task_which_can_train_it():
    assert {task: auto.usual(task) for task in auto.LOSSES} == {"multi_label": "bce", "single_label": "cross_entropy"}
    for task, loss in auto.LOSSES.items():
        assert task in loss.TASKS
