"""Differences of frames against a loop, and what a network makes of them."""

import numpy as np
import pytest
import torch

from pipeline.layers.frame_input import FLOW, RGB, RGB_DIFFERENCE
from pipeline.layers.normalize import normalize
from pipeline.models import tin, tsm, tsn
from tests.support import checks


def by_loop(clip: np.ndarray) -> np.ndarray:
    """Clips (N, 3, T x 6, H, W) -> images (N x T, 15, H, W), one number after another."""
    videos, _, frames, height, width = clip.shape
    images = np.full((videos * frames // 6, 15, height, width), np.nan, np.float32)
    for video in range(videos):
        for place in range(frames // 6):
            for step in range(5):
                for colour in range(3):
                    before, after = clip[video, colour, 6 * place + step], clip[video, colour, 6 * place + step + 1]
                    images[video * frames // 6 + place, 3 * step + colour] = after - before
    return images


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last_3d])
def test_differences_are_those_of_a_loop(order: torch.memory_format):
    clip = torch.randn(2, 3, 12, 5, 7, generator=torch.Generator().manual_seed(0))

    images = RGB_DIFFERENCE.images(clip.contiguous(memory_format=order))

    np.testing.assert_array_equal(images.numpy(), by_loop(clip.numpy()))


def test_they_are_in_units_of_the_whole_range_of_a_pixel():
    pixels = torch.zeros(1, 3, 6, 1, 1, dtype=torch.uint8)
    pixels[0, 0, 1] = 255  # red from the second frame to the fourth, green in the last
    pixels[0, 0, 2:4] = 255
    pixels[0, 1, 5] = 51

    images = RGB_DIFFERENCE.images(normalize(pixels, RGB_DIFFERENCE.pixels))

    expected = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 0, 0], [-1, 0, 0], [0, 0.2, 0]]).flatten()
    torch.testing.assert_close(images, expected.view(1, 15, 1, 1))


def test_a_video_that_stands_still_is_all_zeros_whatever_it_shows():
    still = torch.randint(0, 256, (1, 3, 1, 8, 8), dtype=torch.uint8).expand(-1, -1, 24, -1, -1)

    images = RGB_DIFFERENCE.images(normalize(still, RGB_DIFFERENCE.pixels))

    assert images.shape == (4, 15, 8, 8)
    assert not images.any()


@pytest.mark.parametrize("module", [tsn, tsm, tin])
def test_a_network_of_differences_sees_no_colour_but_its_changes(module):
    model = checks.settled(module.build(3, **checks.TINY_2D, frames=2, input="rgb_difference"))
    clip = checks.clips(1, frames=12)
    shade = checks.clips(1, frames=1)

    with torch.inference_mode():
        torch.testing.assert_close(model(clip + shade), model(clip), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(clip.flip(2)), model(clip), rtol=1e-2)


def test_the_same_frames_make_the_places_of_both_kinds():
    clip = checks.clips(2, frames=4)

    assert torch.equal(RGB.images(clip), torch.stack([clip[n, :, t] for n in range(2) for t in range(4)]))


def test_the_ten_channels_of_flow_are_x_and_y_of_the_first_then_of_the_second():
    clip = torch.randn(2, 2, 15, 5, 7, generator=torch.Generator().manual_seed(0))

    images = FLOW.images(clip)

    assert images.shape == (6, 10, 5, 7)
    for video in range(2):
        for place in range(3):
            for channel in range(10):
                expected = clip[video, channel % 2, 5 * place + channel // 2]
                assert torch.equal(images[3 * video + place, channel], expected)


def test_no_motion_is_next_to_nothing_and_the_ends_are_two_deviations_apart():
    levels = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(1, 2, 5, 1, 3)

    images = FLOW.images(normalize(levels, FLOW.pixels))

    expected = torch.tensor([-0.5 / 0.226, (128 / 255 - 0.5) / 0.226, 0.5 / 0.226])
    torch.testing.assert_close(images, expected.expand(1, 10, 1, 3))


@pytest.mark.parametrize("module", [tsn, tsm, tin])
def test_a_network_of_flow_asks_for_five_at_each_place(module):
    model = checks.settled(module.build(3, **checks.TINY_2D, frames=2, input="flow"))
    clip = torch.randn(1, 2, 10, 32, 32, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        assert model(clip).shape == (1, 3)
        assert not torch.allclose(model(clip.flip(1)), model(clip), rtol=1e-2)
        with pytest.raises(ValueError, match="clip has 12 frames.*`consecutive: 5` in clip.sampler"):
            model(torch.zeros(1, 2, 12, 32, 32))


@pytest.mark.parametrize("frames", [4, 8, 13])
def test_frames_that_fill_no_place_are_refused_with_the_setting(frames: int):
    model = tsn.build(3, **checks.TINY_2D, input="rgb_difference")
    with pytest.raises(ValueError, match=f"clip has {frames} frames.*`consecutive: 6` in clip.sampler"):
        model(checks.clips(1, frames))
