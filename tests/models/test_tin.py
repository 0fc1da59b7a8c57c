"""TIN against X-Temporal's and mmaction2's."""

import torch

from pipeline.layers.interlace import TemporalInterlace
from pipeline.models import tin
from tests.support import checks
from tests.support.golden import golden_io

TINY = {**checks.TINY_2D, "frames": 4}


def test_every_block_of_resnet101_is_interlaced():
    with torch.device("meta"):
        model = tin.build(3, backbone="resnet101")

    assert sum(isinstance(module, TemporalInterlace) for module in model.modules()) == 3 + 4 + 23 + 3


def test_the_order_of_the_frames_matters():
    model = golden_io.fill(tin.build(3, **TINY)).eval()
    clip = checks.clips(2, frames=4)

    assert (model(clip.flip(2)) - model(clip)).abs().max() > 1e-3


def test_options_reach_the_parts():
    model = tin.build(3, **TINY, dropout=0.25, partial_bn=True, shift_div=2, offset_init=0.0)

    interlace = model.backbone.layer1[0].conv1.temporal
    assert model.dropout.p == 0.25
    assert model.partial_bn
    assert interlace.moved == 16 // 2
    assert interlace.offset_net.out.bias.tolist() == [0, 0]
