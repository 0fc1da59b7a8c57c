"""wLSEP against moments_models' own function, whose values and gradients are right for common logits, and a loop."""

import math

import numpy as np
import pytest
import torch

from pipeline.class_stats import ClassStatistics
from pipeline.losses import wlsep
from pipeline.losses.wlsep import WLSEP
from tests.support.golden import keys

GOLDEN = keys.read("losses")


def wlsep_by_loop(logits, targets, weights):
    terms = []
    for s, y in zip(logits.tolist(), targets.tolist(), strict=True):
        absent = [s[i] for i in range(len(s)) if not y[i]]
        for j in range(len(s)):
            if y[j]:
                terms.append(weights[j] * math.log(1 + math.fsum(math.exp(s_i - s[j]) for s_i in absent)))
    return math.fsum(terms) / len(terms)


@pytest.mark.parametrize(("golden", "weights"), [("small_wlsep", None), ("small_wlsep_weighted", "small_weights")])
def test_equals_moments_models(golden, weights):
    logits = GOLDEN["small_scores"].clone().requires_grad_()
    value = WLSEP(1.0, weights and GOLDEN[weights])(logits, GOLDEN["small_labels"])
    value.backward()

    torch.testing.assert_close(value, GOLDEN[golden])
    torch.testing.assert_close(logits.grad, GOLDEN[f"{golden}_grad"])


def test_equals_a_loop_over_labels():
    logits = 3 * torch.randn(16, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = (torch.rand(16, 13, generator=torch.Generator().manual_seed(1)) < 0.2).double()
    weights = torch.linspace(0.1, 1, 13, dtype=torch.float64)

    expected = wlsep_by_loop(logits, targets, weights.tolist())

    assert WLSEP(2.0, weights)(logits, targets).item() == pytest.approx(2 * expected, rel=1e-9)


def test_is_a_softmax_among_the_label_and_the_absent_classes():
    logits = torch.tensor([[1.0, 5.0, 2.0, 0.0]])  # 5.0 is another label: not in the way

    value = WLSEP(1.0)(logits, torch.tensor([[1, 1, 0, 0]]))

    expected = [torch.tensor([own, 2.0, 0.0]).log_softmax(0)[0].item() for own in (1.0, 5.0)]
    assert value.item() == pytest.approx(-np.mean(expected))


def test_large_differences_are_counted_in_full():
    assert (
        WLSEP(1.0)(torch.tensor([[0.0, 200.0]]), torch.tensor([[1, 0]])).item() == GOLDEN["large_wlsep"].item() == 200
    )


def test_weights_are_the_least_count_over_the_count():
    golden = {name: np.asarray(value) for name, value in keys.read("class_weights_paper").items() if name != "meta"}
    statistics = ClassStatistics(tuple("abcde"), golden["counts"].astype(np.int64), videos=100_000)

    loss = wlsep.build(statistics, class_weights="min_count")

    torch.testing.assert_close(loss.class_weights.double(), torch.from_numpy(golden["w_min"]), rtol=1e-6, atol=0)
    assert wlsep.build(statistics).class_weights is None


def test_an_unknown_weight_is_refused():
    with pytest.raises(ValueError, match="class_weights must be one of none, min_count, not 'sqrt'"):
        wlsep.build(ClassStatistics(("a",), np.array([1]), 1), class_weights="sqrt")
