"""TSM against X-Temporal's and the authors'."""

import pytest
import torch

from pipeline.layers.shift import TemporalShift
from pipeline.models import tsm
from tests.support import checks
from tests.support.golden import golden_io

TINY = {**checks.TINY_2D, "frames": 4}


@pytest.mark.parametrize(("every", "shifts"), [(1, 3 + 4 + 23 + 3), (2, 2 + 2 + 12 + 2)])
def test_resnet101_shifts_every_block_or_every_second_one(every: int, shifts: int):
    with torch.device("meta"):
        model = tsm.build(3, backbone="resnet101", every=every)

    assert sum(isinstance(module, TemporalShift) for module in model.modules()) == shifts


def test_the_order_of_the_frames_matters():
    model = golden_io.fill(tsm.build(3, **TINY)).eval()
    clip = checks.clips(2, frames=4)

    assert (model(clip.flip(2)) - model(clip)).abs().max() > 1e-3


def test_the_places_and_divisors_are_different_networks():
    clip = checks.clips(1, frames=4)
    variants = [{}, {"place": "block"}, {"shift_div": 4}]

    logits = [golden_io.fill(tsm.build(1, **TINY, **variant)).eval()(clip).item() for variant in variants]

    assert len(set(logits)) == 3


def test_options_reach_the_parts():
    model = tsm.build(3, **TINY, dropout=0.25, partial_bn=True, shift_div=4)

    assert model.dropout.p == 0.25
    assert model.partial_bn
    assert model.backbone.layer1[0].conv1.temporal.shift_div == 4
