"""R(2+1)D against X-Temporal's."""

import pytest
import torch
from torch import nn

from pipeline.models import r2plus1d


@pytest.mark.parametrize(("max_pooling", "size"), [(True, 2), (False, 4)])
def test_max_pooling_halves_the_maps_and_time_is_halved_thrice(max_pooling: bool, size: int):
    with torch.device("meta"):
        maps = r2plus1d.build(3, max_pooling=max_pooling).backbone(torch.empty(1, 3, 16, 64, 64))

    assert maps.shape == (1, 512, 2, size, size)


def test_bottlenecks_factor_their_middle_convolution_only():
    with torch.device("meta"):
        block = r2plus1d.build(3, depth=50).backbone.layer1[0]

    assert [type(conv) for conv in (block.conv1, block.conv2, block.conv3)] == [nn.Conv3d, nn.Sequential, nn.Conv3d]
    assert type(block.downsample[0]) is nn.Conv3d


def test_an_impossible_network_is_refused():
    with pytest.raises(ValueError, match="depth=20 is none of 18, 34, 50, 101, 152, 200"):
        r2plus1d.build(3, depth=20)
