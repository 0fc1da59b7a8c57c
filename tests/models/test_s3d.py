"""S3D against torchvision's own."""

import pytest
import torch
from torch import nn
from torchvision.models import video

from pipeline.models import s3d
from tests.support import torchvision_peer


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((1, 3, 14, 224, 224), marks=pytest.mark.slow),
        pytest.param((1, 3, 40, 256, 256), marks=pytest.mark.nightly),
    ],
    ids=str,
)
def test_it_is_torchvisions(shape, tmp_path):
    torchvision_peer.assert_same_logits(video.s3d, s3d.build, shape, tmp_path)


def test_it_has_the_parameters_of_torchvisions():
    torchvision_peer.assert_names_and_shapes(video.s3d, s3d.build, 8_320_048)


def test_maps_that_are_smaller_than_a_window_are_averaged_whole():
    maps = torch.arange(2 * 4 * 4.0).reshape(1, 1, 2, 4, 4)
    assert s3d.WindowMean()(maps).item() == pytest.approx(maps.mean().item())
    assert s3d.WindowMean()(torch.ones(1, 1, 3, 9, 4)).shape == (1, 1, 2, 3, 1)


def test_a_narrower_one_has_every_width_divided():
    with torch.device("meta"):
        narrow, whole = s3d.build(3, width=16), s3d.build(3)
    widths = [[m.out_channels for m in net.modules() if isinstance(m, nn.Conv3d)] for net in (narrow, whole)]
    assert [4 * width for width in widths[0]] == widths[1]
    norms = [m for m in s3d.build(3, width=8, norm_momentum=0.1).modules() if isinstance(m, nn.BatchNorm3d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.1, 0.001)}


def test_an_impossible_network_is_refused():
    with pytest.raises(ValueError, match="width=20 must be a multiple of 8"):
        s3d.build(3, width=20)
