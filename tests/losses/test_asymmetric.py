"""ASL against the paper's formula and gradient, term by term, and against BCE, which it holds as a special case."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.losses import asymmetric

STATISTICS = ClassStatistics(("a",), np.array([1]), 1)
PLAIN = {"gamma_neg": 0.0, "gamma_pos": 0.0, "clip": 0.0}


def asl_by_loop(logits, targets, gamma_neg, gamma_pos, clip):
    terms = []
    for z, y in zip(logits.flatten().tolist(), targets.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        p_m = max(p - clip, 0)
        terms.append(-y * (1 - p) ** gamma_pos * math.log(p) - (1 - y) * p_m**gamma_neg * math.log(1 - p_m))
    return math.fsum(terms) / len(terms)


def noise():
    return 3 * torch.randn(16, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def some():
    return (torch.rand(16, 13, generator=torch.Generator().manual_seed(1)) < 0.2).double()


@pytest.mark.parametrize(
    ("gamma_neg", "gamma_pos", "clip"), [(4, 0, 0.05), (4, 1, 0.05), (2, 2, 0), (0.5, 0.5, 0.2), (0, 0, 0.3)]
)
@pytest.mark.parametrize("softness", [0, 0.3])
def test_equals_the_formula_term_by_term(gamma_neg, gamma_pos, clip, softness):
    targets = (1 - softness) * some() + softness * some().flip(0)
    loss = asymmetric.build(STATISTICS, scale=2.0, gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)

    expected = asl_by_loop(noise(), targets, gamma_neg, gamma_pos, clip)

    assert loss(noise(), targets).item() == pytest.approx(2 * expected, rel=1e-9)


def test_the_defaults_are_the_papers():
    expected = asl_by_loop(noise(), some(), gamma_neg=4, gamma_pos=0, clip=0.05)

    assert asymmetric.build(STATISTICS)(noise(), some()).item() == pytest.approx(expected, rel=1e-9)


def test_without_focus_and_clip_it_is_bce():
    for logits in (noise(), 1e4 * noise().sign()):
        value = asymmetric.build(STATISTICS, **PLAIN)(logits, some())

        torch.testing.assert_close(value, F.binary_cross_entropy_with_logits(logits, some()), rtol=1e-12, atol=0)


def test_absent_classes_below_the_clip_cost_nothing_and_are_left_alone():
    logits = torch.tensor([[-3.0, 0.0]], requires_grad=True)  # probabilities 0.047 and 0.5
    asymmetric.build(STATISTICS, clip=0.05)(logits, torch.zeros(1, 2)).backward()

    assert logits.grad[0, 0] == 0
    assert logits.grad[0, 1] > 0


def test_detached_powers_are_plain_weights_to_the_gradient():
    logits, targets = noise().requires_grad_(), some()
    detached = asymmetric.build(STATISTICS, gamma_neg=2.0, gamma_pos=1.0, clip=0.0, detach_focus=True)
    through = asymmetric.build(STATISTICS, gamma_neg=2.0, gamma_pos=1.0, clip=0.0)

    assert detached(logits, targets) == through(logits, targets)
    (gradient,) = torch.autograd.grad(detached(logits, targets), logits)
    p = logits.detach().sigmoid()
    by_hand = targets * (1 - p) * (p - 1) + (1 - targets) * p**2 * p  # weight x the slope of BCE, p - y
    torch.testing.assert_close(gradient, by_hand / logits.numel(), rtol=1e-9, atol=1e-15)


def test_the_gradient_of_absent_classes_is_the_papers():
    z, gamma, clip = noise().requires_grad_(), 4.0, 0.05
    loss = asymmetric.build(STATISTICS, gamma_neg=gamma, clip=clip)
    (gradient,) = torch.autograd.grad(loss(z, torch.zeros_like(z)), z)

    p = z.detach().sigmoid()
    p_m = (p - clip).clamp(min=0)
    by_hand = p_m**gamma * (1 / (1 - p_m) - gamma * (1 - p_m).log() / p_m.clamp(min=1e-99)) * p * (1 - p)
    torch.testing.assert_close(gradient, by_hand / z.numel(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma_neg": -1.0}, "gamma_neg and gamma_pos must not be negative, but are -1.0 and 0.0"),
        ({"gamma_pos": -0.5}, "gamma_neg and gamma_pos must not be negative, but are 4.0 and -0.5"),
        ({"clip": 1.0}, "clip is a probability, at least 0 and less than 1, not 1.0"),
        ({"clip": -0.1}, "clip is a probability, at least 0 and less than 1, not -0.1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        asymmetric.build(STATISTICS, **options)
