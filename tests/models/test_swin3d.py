"""Video Swin against torchvision's own."""

import functools

import pytest
from torchvision.models import video

from pipeline.models import swin3d
from tests.support import torchvision_peer

SMALL = {"depths": (2, 2, 18, 2)}


@pytest.mark.parametrize(
    "shape", [(1, 3, 6, 40, 28), pytest.param((2, 3, 32, 224, 224), marks=pytest.mark.nightly)], ids=str
)
def test_it_is_torchvisions_to_the_last_bit(shape, tmp_path):
    torchvision_peer.assert_same_logits(video.swin3d_t, swin3d.build, shape, tmp_path, exactly=True)


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "options"), [("swin3d_s", SMALL), ("swin3d_b", SMALL | {"width": 128})])
def test_the_larger_ones_are_torchvisions_to_the_last_bit(name: str, options, tmp_path):
    build = functools.partial(swin3d.build, **options)
    torchvision_peer.assert_same_logits(getattr(video, name), build, (1, 3, 6, 40, 28), tmp_path, exactly=True)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("swin3d_t", {}, 28_158_070),
        ("swin3d_s", SMALL, 49_816_678),
        ("swin3d_b", SMALL | {"width": 128}, 88_048_984),
    ],
)
def test_they_have_the_parameters_of_torchvisions(name: str, options, parameters: int):
    build = functools.partial(swin3d.build, **options)
    torchvision_peer.assert_names_and_shapes(getattr(video, name), build, parameters)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 100}, "width=100 must be a multiple of head_width=32"),
        ({"window": (8, 7)}, r"window=\[8, 7\] must be three lengths"),
        ({"depths": (1,)}, r"depths=\[1\]"),
    ],
)
def test_an_impossible_network_is_refused(options, said: str):
    with pytest.raises(ValueError, match=said):
        swin3d.build(3, **options)
