"""TSM against X-Temporal's and the authors'."""

import pytest
import torch
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor

from pipeline.layers.shift import TemporalShift
from pipeline.models import tsm, tsn
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


@pytest.mark.parametrize("backbone", ["mobilenetv2_035", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
def test_it_is_the_image_network_with_the_input_of_its_expansions_shifted(backbone: str):
    model = tsm.build(
        3, backbone=backbone, frames=4, shift_div=8, dropout=0.0
    )  # in train mode, so that norms normalise
    golden_io.fill(model.classifier)
    image_network = tsn.build(3, backbone=backbone, dropout=0.0)
    shifted = ".conv_pw.conv."
    image_network.load_state_dict({name.replace(shifted, ".conv_pw."): x for name, x in model.state_dict().items()})
    clip = checks.clips(2, frames=4, size=64)
    unshifted = image_network(clip)

    for stage in image_network.backbone.blocks:
        for block in stage:
            if isinstance(block, InvertedResidual) and block.has_skip:
                block.conv_pw.register_forward_pre_hook(lambda _, x: shifted_by_hand(x[0], 4))
    logits = model(clip)

    torch.testing.assert_close(logits, image_network(clip))
    assert (unshifted - logits).abs().max() > 0.01 * logits.abs().max()


def shifted_by_hand(images: Tensor, frames: int) -> Tensor:
    """The images of clips, an eighth of whose channels is the next frame's, and an eighth the previous one's."""
    moved = images.clone()
    part = images.shape[1] // 8
    for n in range(len(images)):
        t = n % frames
        moved[n, :part] = images[n + 1, :part] if t + 1 < frames else 0
        moved[n, part : 2 * part] = images[n - 1, part : 2 * part] if t else 0
    return moved
