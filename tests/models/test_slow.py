"""Slow: kernels, places of non-local blocks and the start."""

import pytest
import torch

from pipeline.layers.non_local import NonLocal
from pipeline.models import slow
from tests.support import checks


def test_it_looks_along_time_in_its_last_two_stages_only():
    with torch.device("meta"):
        backbone = slow.build(3).backbone

    assert backbone.conv1.kernel_size == (1, 7, 7)
    lengths = [{block.conv1.kernel_size[0] for block in stage} for stage in backbone.stages]
    assert lengths == [{1}, {1}, {3}, {3}]
    assert {block.conv2.kernel_size for stage in backbone.stages for block in stage} == {(1, 3, 3)}


@pytest.mark.parametrize("depth", [50, 101])
def test_non_local_blocks_are_pyslowfasts(depth: int):
    with torch.device("meta"):
        model = slow.build(3, depth=depth, non_local=True)

    places = {name: module for name, module in model.named_modules() if isinstance(module, NonLocal)}
    assert list(places) == [f"backbone.layer{place}.non_local" for place in ("2.1", "2.3", "3.1", "3.3", "3.5")]
    assert {block.weighting for block in places.values()} == {"dot_product"}
    assert [block.theta.in_channels for block in places.values()] == [512] * 2 + [1024] * 3
    assert "backbone.layer2.1.block.conv1.weight" in model.state_dict()


def test_it_starts_as_its_shortcuts_and_a_small_classifier():
    model = slow.build(1000, **checks.TINY_3D)

    assert not any(block.bn3.weight.any() for stage in model.backbone.stages for block in stage)
    assert 0.009 < model.classifier.weight.std() < 0.011


def test_an_impossible_network_is_refused():
    with pytest.raises(ValueError, match="depth=18 is none of 50, 101, 152, 200"):
        slow.build(3, depth=18)
    with pytest.raises(ValueError, match="block 1 of layer2, but this network has 1 blocks"):
        slow.build(3, **checks.TINY_3D, non_local=True)
