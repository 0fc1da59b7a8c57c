"""TIN against X-Temporal's and mmaction2's, and what every model must hold to."""

import pytest
import torch

from pipeline.layers.interlace import TemporalInterlace
from pipeline.models import tin
from tests.golden import golden_io, keys
from tests.models import checks

TINY = {**checks.TINY_2D, "frames": 4}


def test_equals_x_temporal():
    weights = keys.weights("tin_r50_8f", keys.X_TEMPORAL_2D)

    keys.assert_logits_match(tin.build(313), "tin_r50_8f", weights)


def test_equals_mmaction2():
    weights = keys.weights("mma_tin_r50_8f", keys.MMACTION_TIN)

    keys.assert_logits_match(tin.build(313), "mma_tin_r50_8f", weights)


@pytest.mark.parametrize(
    ("backbone", "frames", "parameters"),
    [
        ("resnet50", 8, 24_180_377),
        ("resnet50", 16, 24_183_833),
        ("resnet101", 8, 43_213_254),
        ("resnet101", 16, 43_220_382),
    ],
)
def test_has_as_many_parameters_as_the_peers(backbone: str, frames: int, parameters: int):
    with torch.device("meta"):
        assert checks.parameter_count(tin.build(313, backbone=backbone, frames=frames)) == parameters


def test_every_block_of_resnet101_is_interlaced():
    with torch.device("meta"):
        model = tin.build(3, backbone="resnet101")

    assert sum(isinstance(module, TemporalInterlace) for module in model.modules()) == 3 + 4 + 23 + 3


def test_the_order_of_the_frames_matters():
    model = golden_io.fill(tin.build(3, **TINY)).eval()
    clip = checks.clips(2, frames=4)

    assert (model(clip.flip(2)) - model(clip)).abs().max() > 1e-3


def test_a_clip_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"clip has 8 frames.*built for 4"):
        tin.build(3, **TINY)(checks.clips(1, frames=8))


def test_every_parameter_learns():
    checks.assert_every_parameter_learns(tin.build(3, **TINY), checks.clips(2, frames=4))


def test_clips_of_a_batch_do_not_mix():
    checks.assert_clips_do_not_mix(tin.build(3, **TINY), checks.clips(3, frames=4))


def test_weights_survive_a_file():
    one, other = (tin.build(3, **TINY) for _ in range(2))

    checks.assert_weights_survive_a_file(one, other, checks.clips(1, frames=4))


def test_options_reach_the_parts():
    model = tin.build(3, **TINY, dropout=0.25, partial_bn=True, shift_div=2, offset_init=0.0)

    interlace = model.backbone.layer1[0].conv1.temporal
    assert model.dropout.p == 0.25
    assert model.partial_bn
    assert interlace.moved == 16 // 2
    assert interlace.offset_net.out.bias.tolist() == [0, 0]
