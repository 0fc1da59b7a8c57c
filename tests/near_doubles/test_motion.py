import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.near_doubles import motion
from tests.support.moving import BACKGROUND, clip, copies, jpegs

FPS = 30


def seen(packed, clips: dict[str, list[bytes]]) -> dict[str, np.ndarray]:
    store = packed(clips)
    return {video: motion.frames(store, video, FPS) for video in clips}


def test_copies_are_told_from_other_clips_of_the_same_camera(packed):
    whole = clip(1)
    found = seen(
        packed, {"whole": jpegs(whole), **copies(whole), **{f"other{n}": jpegs(clip(n)) for n in range(2, 12)}}
    )

    alike = {video: motion.likeness(found["whole"], frames) for video, frames in found.items()}

    of_others = [alike.pop(video) for video in list(alike) if video.startswith("other")]
    assert len(of_others) == 10
    assert max(of_others) < 0.6
    assert min(alike.values()) > 0.9, alike


def test_outlines_of_copies_are_nearer_than_those_of_other_clips(packed):
    whole = clip(1)
    found = seen(
        packed, {"whole": jpegs(whole), **copies(whole), **{f"other{n}": jpegs(clip(n)) for n in range(2, 12)}}
    )

    near = {video: motion.outline(found["whole"]) @ motion.outline(frames) for video, frames in found.items()}

    assert near["whole"] == pytest.approx(1, abs=1e-6)
    of_others = [near.pop(video) for video in list(near) if video.startswith("other")]
    assert max(of_others) < min(near.values())


@pytest.mark.parametrize("cut", [(0, 20), (2, 20), (0, 17), (4, 18)])
def test_the_likeness_is_numpys_correlation_at_the_best_shift(cut):
    random = np.random.default_rng(0)
    one = random.integers(0, 255, (20, 256)).astype(np.uint8)
    other = np.clip(one[slice(*cut)] + random.normal(0, 20, (cut[1] - cut[0], 256)), 0, 255).astype(np.uint8)

    def rest(frames):
        level = frames - frames.mean(axis=1, keepdims=True)
        return (level - level.mean(axis=0)).ravel()

    inside = one[slice(*cut)].astype(float)
    expected = np.corrcoef(rest(inside), rest(other.astype(float)))[0, 1]
    assert motion.likeness(one, other) == pytest.approx(expected, abs=1e-5)
    assert motion.likeness(other, one) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(128, 170), (16, 16), (300, 90)])
def test_a_shrunken_frame_has_the_means_of_its_cells(height, width, packed):
    y, x = np.mgrid[:height, :width]
    smooth = 128 + 60 * np.sin(5 * y / height) + 60 * np.cos(3 * x / width)  # the same at each scale of a JPEG
    pixels = np.repeat(smooth[None, :, :, None], 3, axis=3).astype(np.uint8)

    (found,) = seen(packed, {"v": jpegs(pixels, quality=100)}).values()

    for row in range(16):
        for column in range(16):
            rows, columns = (
                slice(n * size // 16, (n + 1) * size // 16) for n, size in ((row, height), (column, width))
            )
            assert found[0, row * 16 + column] == pytest.approx(smooth[rows, columns].mean(), abs=6)


@pytest.mark.parametrize(("frames", "fps", "expected"), [
    (9, 30, [0, 3, 6]),
    (10, 10, list(range(10))),
    (400, 30, list(range(111, 291, 3))),
    (100, 5, list(range(20, 80))),
])  # fmt: skip
def test_the_frames_are_those_around_the_middle_ten_a_second(packed, frames, fps, expected):
    shades = np.arange(frames) % 125 * 2
    pixels = np.broadcast_to(shades[:, None, None, None], (frames, 16, 16, 3)).astype(np.uint8)

    found = motion.frames(packed({"v": jpegs(pixels)}), "v", fps)

    assert found.shape == (len(expected), 256)
    assert np.abs(found.mean(axis=1) - shades[expected]).max() < 1


def test_a_picture_that_stands_flickers_or_is_too_short_is_still(packed):
    still = np.broadcast_to(BACKGROUND[None, :, :, None], (60, *BACKGROUND.shape, 3))
    flicker = still + (np.arange(60) % 5 * 4)[:, None, None, None]
    found = seen(packed, {
        "still": jpegs(still.astype(np.uint8)), "flicker": jpegs(flicker.astype(np.uint8)),
        "short": jpegs(clip(1)[:9]), "moving": jpegs(clip(1)),
    })  # fmt: skip

    assert {video: motion.is_still(frames) for video, frames in found.items()} == {
        "still": True, "flicker": True, "short": True, "moving": False,
    }  # fmt: skip


def test_a_frame_that_is_no_jpeg_is_named(packed):
    with pytest.raises(UserError, match=r"a\.lmdb is damaged \(video 'v'"):
        motion.frames(packed({"v": [*jpegs(clip(1)[:3])[:1], b"none"] * 3}), "v", 10)


def test_a_frame_smaller_than_the_grid_fills_it(packed):
    frames = np.random.default_rng(0).integers(0, 255, (20, 8, 16, 1)).repeat(3, axis=3).astype(np.uint8)
    found = motion.frames(packed({"v": jpegs(frames, quality=100)}), "v", 10)
    expected = frames[..., 0].repeat(2, axis=1).reshape(20, 256)
    assert np.abs(found.astype(int) - expected).max() <= 3
