import base64

import numpy as np
import pytest
import simplejpeg

from pipeline.core.errors import UserError
from pipeline.report.strips import FRAMES, Strips, strip

GREY = [simplejpeg.encode_jpeg(np.full((64, 96, 3), 20 * n, np.uint8)) for n in range(10)]


def pixels(url: str) -> np.ndarray:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return simplejpeg.decode_jpeg(base64.b64decode(data))


def test_a_strip_is_evenly_spaced_frames_side_by_side(packed):
    shown = pixels(strip(packed({"v0": GREY}), "v0"))
    assert shown.shape == (64, FRAMES * 96, 3)
    levels = [frame[8:-8, 8:-8].mean() for frame in np.split(shown, FRAMES, axis=1)]
    assert levels == pytest.approx([20, 60, 100, 140, 180], abs=2), "the middles of five parts: 1, 3, 5, 7, 9"


def test_a_strip_has_as_many_frames_of_a_video_that_has_fewer(packed):
    shown = pixels(strip(packed({"v0": GREY[:2]}), "v0"))
    levels = [frame[8:-8, 8:-8].mean() for frame in np.split(shown, FRAMES, axis=1)]
    assert levels == pytest.approx([0, 0, 20, 20, 20], abs=2)


def test_large_frames_become_small(packed):
    noise = np.random.default_rng(0).integers(0, 255, (320, 480, 3), dtype=np.uint8)
    height, width, _ = pixels(strip(packed({"v0": [simplejpeg.encode_jpeg(noise)]}), "v0")).shape
    assert 128 <= width / FRAMES < 256
    assert width / FRAMES / height == pytest.approx(1.5, abs=0.02)


def test_a_video_without_frames_has_no_strip_and_a_damaged_frame_is_named(packed):
    broken = GREY[0][:200] + b"\0" * 50
    store = packed({"v0": [GREY[0]], "v1": [GREY[0], broken]})
    assert strip(store, "nobody") == ""
    with pytest.raises(UserError, match="video 'v1'"):
        strip(store, "v1")


def test_strips_end_where_the_budget_does(packed):
    store = packed({f"v{n}": GREY for n in range(4)})
    one = len(strip(store, "v0"))
    strips = Strips(store, 2 * one + one // 2)
    assert [bool(strips.of(video)) for video in ("v0", "v1", "v0")] == [True] * 3, "the same strip costs once"
    assert not strips.full
    assert strips.of("v2") is None
    assert strips.full
    assert [strips.of("v1") is None, strips.of("v3") is None] == [False, True]


def test_a_budget_of_nothing_holds_no_frame(packed):
    assert Strips(packed({"v0": GREY}), 0).of("v0") is None
