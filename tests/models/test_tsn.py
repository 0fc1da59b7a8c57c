"""TSN against X-Temporal's."""

import pytest
import torch

from pipeline.models import tsn
from tests.support import checks
from tests.support.golden import golden_io


def test_the_order_of_the_frames_does_not_matter():
    model = golden_io.fill(tsn.build(3, **checks.TINY_2D)).eval()
    clip = checks.clips(2, frames=5)

    torch.testing.assert_close(model(clip.flip(2)), model(clip))


def test_options_reach_the_parts():
    model = tsn.build(3, **checks.TINY_2D, dropout=0.25, partial_bn=True)

    assert model.dropout.p == 0.25
    assert model.partial_bn


def test_non_local_blocks_fix_the_number_of_frames():
    clip = checks.clips(1, frames=6)

    assert tsn.build(3, **checks.TINY_2D, frames=4)(clip).shape == (1, 3)
    with pytest.raises(ValueError, match="clip has 6 frames"):
        tsn.build(3, **checks.TINY_DEEP, frames=4)(clip)
