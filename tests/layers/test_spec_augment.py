"""SpecAugment blanks a run of bands and a span of time, of each spectrogram its own, and in training alone."""

import pytest
import torch

from pipeline.layers.spec_augment import SpecAugment


def runs(blank: torch.Tensor) -> int:
    """Number of separate runs of true values."""
    return int(blank[0]) + int((blank[1:] & ~blank[:-1]).sum())


def test_it_blanks_one_run_of_each_axis_and_no_more_than_its_share():
    torch.manual_seed(0)
    images = SpecAugment(0.25, 0.5).train()(torch.ones(64, 1, 16, 20))
    bands, times = (images == 0).all(dim=3)[:, 0], (images == 0).all(dim=2)[:, 0]
    assert torch.equal((images == 0)[:, 0], bands[:, :, None] | times[:, None])
    assert all(runs(row) <= 1 for row in (*bands, *times))
    assert set(bands.sum(dim=1).tolist()) == set(range(5))  # 0 .. 4 of 16
    assert set(times.sum(dim=1).tolist()) == set(range(11))  # 0 .. 10 of 20
    assert bands.any(dim=0).all()  # each can be blanked
    assert times.any(dim=0).all()
    assert len({tuple(row.tolist()) for row in bands}) > 10


def test_it_is_a_function_of_the_seed():
    torch.manual_seed(3)
    once = SpecAugment(0.5, 0.5)(torch.ones(4, 1, 8, 8))
    torch.manual_seed(3)
    assert torch.equal(SpecAugment(0.5, 0.5)(torch.ones(4, 1, 8, 8)), once)


def test_nothing_is_blanked_in_eval_mode_or_with_shares_of_0():
    images = torch.ones(8, 1, 4, 4)
    assert torch.equal(SpecAugment(1.0, 1.0).eval()(images), images)
    assert torch.equal(SpecAugment(0.0, 0.0).train()(images), images)


def test_a_share_is_a_share():
    with pytest.raises(ValueError, match=r"mask_bands=0.1 and mask_time=1.5 are shares"):
        SpecAugment(0.1, 1.5)
