"""R3D against X-Temporal's."""

import pytest
import torch

from pipeline.models import r3d
from tests.support import checks


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (34, 512), (50, 2048)])
def test_time_is_halved_four_times_and_space_five(depth: int, channels: int):
    with torch.device("meta"):
        maps = r3d.build(3, depth=depth).backbone(torch.empty(1, 3, 32, 64, 96))

    assert maps.shape == (1, channels, 2, 2, 3)


def test_test_crops_may_be_larger_than_those_of_training():
    model = r3d.build(3, **checks.TINY_3D).eval()

    assert model(checks.clips(1, frames=16, size=48)).shape == (1, 3)


def test_an_impossible_network_is_refused():
    with pytest.raises(ValueError, match="depth=20 is none of 18, 34, 50, 101, 152, 200"):
        r3d.build(3, depth=20)
