"""TemporalShift against values that can be read, a plain loop and the authors' code."""

import pytest
import torch
from torch import Tensor

from pipeline.layers.shift import TemporalShift
from tests.support.golden import golden_io, keys


def numbered_frames(frames: int, channels: int) -> Tensor:
    """A clip of single pixels; every value of frame i is i, counted from 1."""
    return torch.arange(1.0, frames + 1).view(-1, 1, 1, 1).repeat(1, channels, 1, 1)


def shift_by_loop(x: Tensor, frames: int, shift_div: int) -> Tensor:
    """The definition, value by value."""
    out = torch.zeros_like(x)
    part = x.shape[1] // shift_div
    for image in range(x.shape[0]):
        for channel in range(x.shape[1]):
            step = 1 if channel < part else -1 if channel < 2 * part else 0
            if 0 <= image % frames + step < frames:
                out[image, channel] = x[image + step, channel]
    return out


def test_channels_come_from_the_next_the_previous_and_the_same_frame():
    shifted = TemporalShift(frames=3, shift_div=4)(numbered_frames(frames=3, channels=4))

    next_frame, previous_frame, *same_frame = shifted.flatten(1).T.tolist()
    assert next_frame == [2, 3, 0]  # nothing follows the last frame
    assert previous_frame == [0, 1, 2]  # nothing precedes the first
    assert same_frame == [[1, 2, 3]] * 2


def test_frames_of_neighbouring_clips_do_not_mix():
    two_clips = numbered_frames(frames=4, channels=2)

    next_frame, previous_frame = TemporalShift(frames=2, shift_div=2)(two_clips).flatten(1).T.tolist()
    assert next_frame == [2, 0, 4, 0]
    assert previous_frame == [0, 1, 0, 3]


def test_channels_that_do_not_divide_evenly_stay():
    shifted = TemporalShift(frames=2, shift_div=4)(numbered_frames(frames=2, channels=7))

    assert shifted.flatten(1).T.tolist() == [[2, 0], [0, 1], *[[1, 2]] * 5]


def test_a_clip_of_one_frame_has_no_neighbours():
    assert TemporalShift(frames=1, shift_div=4)(torch.ones(1, 4, 1, 1)).flatten().tolist() == [0, 0, 1, 1]


def test_equals_the_authors_code():
    x = golden_io.make_input((16, 24, 3, 2))

    assert torch.equal(TemporalShift(frames=8, shift_div=8)(x), keys.read("tsm_shift_div8")["out"])


@pytest.mark.parametrize(("frames", "channels", "shift_div"), [(4, 9, 2), (3, 16, 8), (6, 5, 3)])
def test_equals_the_definition(frames: int, channels: int, shift_div: int):
    x = golden_io.make_input((2 * frames, channels, 2, 3))

    assert torch.equal(TemporalShift(frames, shift_div)(x), shift_by_loop(x, frames, shift_div))


def test_gradient_is_exact():
    x = golden_io.make_input((6, 4, 1, 2)).double().requires_grad_()

    assert torch.autograd.gradcheck(TemporalShift(frames=3, shift_div=4), x)


def test_compiles_whole_for_any_batch():
    shift = TemporalShift(frames=3, shift_div=4)
    compiled = torch.compile(shift, fullgraph=True, backend="aot_eager")

    for clips in (1, 2, 5):
        x = golden_io.make_input((3 * clips, 4, 2, 2))
        assert torch.equal(compiled(x), shift(x))


def test_a_shift_of_more_than_all_channels_is_refused():
    with pytest.raises(ValueError, match="shift_div=1"):
        TemporalShift(frames=8, shift_div=1)
