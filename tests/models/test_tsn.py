"""TSN against X-Temporal's, and what every model must hold to."""

import pytest
import torch

from pipeline.models import tsn
from tests.golden import golden_io, keys
from tests.models import checks


def test_equals_x_temporal():
    weights = keys.weights("tsn_r50_5f", keys.X_TEMPORAL_2D)

    keys.assert_logits_match(tsn.build(313, frames=5), "tsn_r50_5f", weights)


def test_equals_torchvisions_resnet_on_a_clip_of_one_frame():
    weights = keys.weights("tv_resnet50", keys.TORCHVISION)

    keys.assert_logits_match(tsn.build(313), "tv_resnet50", weights)


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("resnet50", 24_149_369),
        ("resnet101", 43_141_497),
        ("resnet152", 58_785_145),
        ("legacy_senet154", 113_681_321),
        ("inception_resnet_v2", 54_787_545),
    ],
)
def test_has_as_many_parameters_as_the_peers(backbone: str, parameters: int):
    with torch.device("meta"):
        assert checks.parameter_count(tsn.build(313, backbone=backbone)) == parameters


def test_the_order_of_the_frames_does_not_matter():
    model = golden_io.fill(tsn.build(3, **checks.TINY_2D)).eval()
    clip = checks.clips(2, frames=5)

    torch.testing.assert_close(model(clip.flip(2)), model(clip))


def test_every_parameter_learns():
    checks.assert_every_parameter_learns(tsn.build(3, **checks.TINY_2D), checks.clips(2, frames=3))


def test_clips_of_a_batch_do_not_mix():
    checks.assert_clips_do_not_mix(tsn.build(3, **checks.TINY_2D), checks.clips(3, frames=5))


def test_weights_survive_a_file():
    one, other = (tsn.build(3, **checks.TINY_2D) for _ in range(2))

    checks.assert_weights_survive_a_file(one, other, checks.clips(1, frames=5))


def test_options_reach_the_parts():
    model = tsn.build(3, **checks.TINY_2D, dropout=0.25, partial_bn=True)

    assert model.dropout.p == 0.25
    assert model.partial_bn
