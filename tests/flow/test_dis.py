"""Flow of textures that move by known numbers of pixels, and against OpenCV itself."""

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg

from pipeline.core.errors import UserError
from pipeline.flow import dis
from pipeline.flow.dis import NoFlow
from tests.support import tiny_flow
from tests.support.tiny_flow import CONFIG


def levels(data: bytes) -> np.ndarray:
    return simplejpeg.decode_jpeg(data, "GRAY")[..., 0].astype(int)


def inner(picture: np.ndarray) -> np.ndarray:
    """Without the margin into which the texture comes from the other side."""
    return picture[20:-20, 20:-20]


@pytest.mark.parametrize(
    ("right", "down", "x", "y"),
    [(0, 0, 128, 128), (3, 2, 147, 141), (-4, 0, 102, 128), (0, -5, 128, 96)],
    ids=["still", "right and down", "left", "up"],
)
def test_a_texture_that_moves_has_this_flow(right, down, x, y):
    """A pixel is 127.5 / 20 = 6.375 levels: 3 to the right are 128 + 19.1, 2 down are 128 + 12.75, ..."""
    found = dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(right, down, 3)), CONFIG)
    assert (len(found.jpegs), found.width, found.height) == (4, 128, 96)
    for number, expected in enumerate([x, y, x, y]):
        assert abs(np.median(inner(levels(found.jpegs[number]))) - expected) <= 1
        assert np.mean(np.abs(inner(levels(found.jpegs[number])) - expected) <= 4) > 0.95


def test_eight_bits_by_hand():
    """With a bound of 10: a pixel is 12.75 levels."""
    pixels = np.array([0, 1, -1, 4, 10, -10, 25, -25, 0.03])
    expected = [128, 141, 115, 179, 255, 0, 255, 0, 128]
    assert dis.quantised(pixels, 10.0).tolist() == expected


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
def test_what_is_stored_is_what_opencv_finds(preset):
    encoded = tiny_flow.jpegs(tiny_flow.moving(2, -1, 3))
    found = dis.flow_of(encoded, replace(CONFIG, preset=preset))
    grey = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) for data in encoded]
    cv2.setNumThreads(1)
    code = {"ultrafast": 0, "fast": 1, "medium": 2}[preset]
    for number in range(2):
        flow = cv2.DISOpticalFlow.create(code).calc(grey[number], grey[number + 1], None)
        for part in range(2):
            exact = np.clip(128 + flow[..., part] * 6.375, 0, 255)
            error = np.abs(levels(found.jpegs[2 * number + part]) - exact)
            assert error.mean() < 1
            assert error.max() < 12


def test_flow_of_a_mirror_image_is_the_mirrored_flow_with_x_inverted():
    """On a texture that moves at different speeds, so that a mirror image is another one."""
    slow, fast = (tiny_flow.moving(step, 1, 2, seed=3) for step in (1, 4))
    frames = [np.concatenate([a[:, :64], b[:, 64:]], axis=1) for a, b in zip(slow, fast, strict=True)]
    x, y = (levels(one) for one in dis.flow_of(tiny_flow.jpegs(frames), CONFIG).jpegs)
    turned = tiny_flow.jpegs([frame[:, ::-1] for frame in frames])
    mirrored_x, mirrored_y = (levels(one) for one in dis.flow_of(turned, CONFIG).jpegs)
    assert abs(np.median(x[20:-20, 84:-20]) - (128 + 4 * 6.375)) <= 1
    far = np.abs(256 - x[:, ::-1] - mirrored_x), np.abs(y[:, ::-1] - mirrored_y)
    for one in far:
        apart = np.concatenate([one[20:-20, 20:50], one[20:-20, 78:-20]], axis=1)  # without the seam
        assert np.mean(apart <= 3) > 0.95


def test_frames_are_made_smaller_and_never_larger():
    frames = tiny_flow.jpegs(tiny_flow.moving(4, 0, 2))
    half = dis.flow_of(frames, replace(CONFIG, short_side=48))
    assert (half.width, half.height) == (64, 48)
    assert levels(half.jpegs[0]).shape == (48, 64)
    assert abs(np.median(levels(half.jpegs[0])[10:-10, 10:-10]) - (128 + 2 * 6.375)) <= 1  # of its own pixels
    assert dis.flow_of(frames, replace(CONFIG, short_side=97)) == dis.flow_of(frames, CONFIG)


def test_the_same_frames_give_the_same_bytes():
    frames = tiny_flow.jpegs(tiny_flow.moving(2, 3, 4, height=150, width=170))
    cv2.setNumThreads(4)  # as another package may leave it
    first = dis.flow_of(frames, CONFIG)
    assert dis.flow_of(frames, CONFIG) == first
    assert cv2.getNumThreads() == 1


def test_one_frame_and_tiny_frames_have_no_flow():
    with pytest.raises(NoFlow, match="it has one frame") as none:
        dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 1)), CONFIG)
    assert none.value.reason == "one_frame"
    with pytest.raises(NoFlow, match="15 x 40 pixels") as none:
        dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 2, height=40, width=15)), CONFIG)
    assert none.value.reason == "too_small"
    assert len(dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 2, height=40, width=16)), CONFIG).jpegs) == 2


def test_frames_of_two_sizes_are_no_video():
    frames = [*tiny_flow.moving(1, 0, 1), *tiny_flow.moving(1, 0, 1, height=48)]
    with pytest.raises(ValueError, match=r"\(48, 128\) pixels, and the one before it \(96, 128\)"):
        dis.flow_of(tiny_flow.jpegs(frames), CONFIG)


def test_a_missing_package_is_one_message_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"package that is missing here.*--editable '\.\[flow\]'"):
        dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 2)), CONFIG)


@pytest.mark.parametrize("preset", ["fast", "ultrafast"])
def test_low_wide_pictures_at_which_opencv_leaves_their_memory_are_refused(preset):
    """The coarsest scale of 80 columns is a quarter, where a patch of 8 rows is higher than a picture of 31."""
    config = replace(CONFIG, preset=preset)
    with pytest.raises(NoFlow, match=f"flow.preset {preset} wants 32 rows from a width of 80 on") as none:
        dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 2, height=31, width=80)), config)
    assert none.value.reason == "too_small"
    for height, width in ((32, 80), (31, 79), (80, 31)):
        found = dis.flow_of(tiny_flow.jpegs(tiny_flow.moving(1, 0, 2, height=height, width=width)), config)
        assert (found.height, found.width) == (height, width)
