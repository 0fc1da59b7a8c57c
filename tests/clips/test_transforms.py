"""Pixels: decoding against Pillow, crops against slices and the published code, and draws that all frames share."""

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image
from torch import Tensor

from pipeline.clips import transforms, views
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Flip
from pipeline.layers.normalize import InputSpec, normalize
from tests.support.golden import keys

GOLDEN = keys.read("spatial_crops")["cases"]


def smooth(height: int, width: int, frames: int = 1) -> np.ndarray:
    """A picture without sharp edges, (frames, height, width, 3): frame i is a little brighter than frame i - 1."""
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    channels = [200 * down * across, 200 * down * (1 - across), 100 * np.sin(5 * down) * np.cos(4 * across) + 100]
    one = np.stack(channels, axis=-1)
    return np.stack([one + 5 * number for number in range(frames)]).astype(np.uint8)


def jpegs(pictures: np.ndarray) -> list[bytes]:
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=95) for picture in pictures]


def numbered(height: int, width: int, frames: int = 1) -> Tensor:
    """Frames (T, 3, H, W) whose pixels say where they come from: row, column and frame are the three colours."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    made = [torch.stack([rows, columns, torch.full_like(rows, number)]) for number in range(frames)]
    return torch.stack(made).to(torch.uint8)


def scale_jitter(crop: int, *ratios: float, flip: Flip = False) -> AugmentConfig:
    return AugmentConfig("scale_jitter", crop, ratios=ratios, flip=flip)


def random_side(crop: int, shortest: int, longest: int, *, flip: Flip = False) -> AugmentConfig:
    return AugmentConfig("random_side", crop, sides=(shortest, longest), flip=flip)


def drawn_boxes(frames: Tensor, config: AugmentConfig, monkeypatch: pytest.MonkeyPatch, times: int) -> list[Box]:
    """The rectangles that training cuts out, with one seed after another."""
    boxes: list[Box] = []
    real = transforms.crop

    def listed(cut_from: Tensor, box: Box) -> Tensor:
        height, width = cut_from.shape[-2:]
        assert 0 <= box.top <= box.top + box.height <= height
        assert 0 <= box.left <= box.left + box.width <= width
        boxes.append(box)
        return real(cut_from, box)

    monkeypatch.setattr(transforms, "crop", listed)
    for seed in range(times):
        transforms.training_crop(frames, config, np.random.default_rng(seed))[0]
    return boxes


def test_the_places_of_a_crop_are_those_that_views_name():
    assert tuple(transforms.PLACES) == views.CROPS["fixed"]


def test_frames_are_decoded_as_pillow_decodes_them():
    encoded = jpegs(smooth(48, 64, frames=3))

    decoded = transforms.decode([memoryview(jpeg) for jpeg in encoded])

    assert decoded.dtype == torch.uint8
    assert decoded.shape == (3, 3, 48, 64)
    for ours, jpeg in zip(decoded, encoded, strict=True):
        assert np.array_equal(ours.permute(1, 2, 0).numpy(), np.array(Image.open(io.BytesIO(jpeg))))


@pytest.mark.parametrize("size", [(320, 426), (426, 320), (64, 106), (97, 97)])
@pytest.mark.parametrize("side", [1, 30, 48, 64, 96, 112, 160, 161, 224, 320, 400])
def test_a_reduced_scale_is_the_smallest_that_has_the_wanted_side(size: tuple[int, int], side: int):
    height, width = size
    [jpeg] = jpegs(smooth(height, width))
    eighths = next((n for n in range(1, 9) if min(-(-height * n // 8), -(-width * n // 8)) >= side), 8)

    decoded = transforms.decode([memoryview(jpeg)], at_least=side)

    assert decoded.shape[-2:] == (-(-height * eighths // 8), -(-width * eighths // 8))  # libjpeg rounds up


def test_a_reduced_scale_looks_like_the_whole_picture_made_smaller():
    pictures = smooth(160, 240)

    reduced = transforms.decode(jpegs(pictures), at_least=80)[0].permute(1, 2, 0).numpy()
    expected = np.array(Image.fromarray(pictures[0]).resize((120, 80), Image.Resampling.BOX))
    assert np.abs(reduced.astype(int) - expected).max() <= 4


def test_a_grey_jpeg_becomes_three_channels():
    grey = simplejpeg.encode_jpeg(np.full((16, 16, 1), 77, np.uint8), colorspace="GRAY")

    assert torch.equal(transforms.decode([grey]), torch.full((1, 3, 16, 16), 77, dtype=torch.uint8))


@pytest.mark.parametrize("how", ["empty", "text", "cut", "of two sizes"])
def test_frames_that_do_not_decode_are_a_value_error(how: str):
    [good] = jpegs(smooth(48, 64))
    [larger] = jpegs(smooth(64, 64))
    bad = {"empty": b"", "text": b"no picture", "cut": good[: len(good) // 2], "of two sizes": larger}[how]

    with pytest.raises(ValueError):
        transforms.decode([memoryview(good), memoryview(bad)])


@pytest.mark.parametrize(
    ("height", "width", "place", "top", "left"),
    [
        (4, 9, "left", 0, 0),
        (4, 9, "centre", 0, 2),  # of the 5 columns that remain, 2 before and 3 behind
        (4, 9, "right", 0, 5),
        (9, 4, "left", 0, 0),  # upright: top, centre, bottom
        (9, 4, "centre", 2, 0),
        (9, 4, "right", 5, 0),
        (6, 9, "left", 1, 0),  # across the other side always in the middle
        (6, 9, "right", 1, 5),
        (4, 4, "left", 0, 0),
        (4, 4, "right", 0, 0),
        (7, 7, "left", 1, 0),
    ],
)
def test_a_test_crop_lies_at_its_place(height: int, width: int, place: str, top: int, left: int):
    assert transforms.crop_box(height, width, 4, place) == transforms.Box(top, left, 4, 4)


def test_test_crops_are_the_published_codes_where_those_reach_the_border():
    compared = 0
    for case in GOLDEN["fullres"]:
        height, width, size = case["h"], case["w"], case["crop"]
        # Left out: an upright video, of which the peer takes the left and right of its short side, and room that
        # four does not divide, where the peer's right crop stops up to three pixels before the border.
        if height > width or (width - size) % 4:
            continue
        boxes = [transforms.crop_box(height, width, size, place) for place in ("left", "right", "centre")]
        assert [[box.left, box.top] for box in boxes] == case["left_right_center"]
        compared += 1
    assert compared == 2


def test_resizing_keeps_the_aspect_and_rounds_the_longer_side_down():
    assert transforms.resize_short_side(numbered(75, 100), 50).shape == (1, 3, 50, 66)
    assert transforms.resize_short_side(numbered(100, 75), 50).shape == (1, 3, 66, 50)
    assert transforms.resize_short_side(numbered(30, 40), 60).shape == (1, 3, 60, 80)


def test_resizing_to_the_same_side_changes_no_pixel():
    frames = numbered(30, 47)

    assert torch.equal(transforms.resize_short_side(frames, 30), frames)


@pytest.mark.parametrize(("side", "size"), [(40, (40, 60)), (48, (48, 72)), (96, (96, 144))])
def test_resizing_is_pillows_antialiased_bilinear(side: int, size: tuple[int, int]):
    rng = np.random.default_rng(0)
    picture = rng.integers(256, size=(64, 96, 3), dtype=np.uint8)

    ours = transforms.resize_short_side(torch.from_numpy(picture).permute(2, 0, 1)[None], side)
    theirs = np.array(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(ours[0].permute(1, 2, 0).numpy().astype(int) - theirs).max() <= 1


def test_normalising_is_minus_mean_over_deviation():
    clip = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1, 1)

    normal = normalize(clip, InputSpec(mean=(0.5, 0.5, 0.1), std=(0.25, 0.5, 0.2)))

    assert normal.flatten().tolist() == pytest.approx([-2.0, 1.0, 0.5])  # 51 is a fifth of 255
    assert normal.dtype == torch.float32
    assert normal.shape == clip.shape


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 2, 3, 4, 1)])
def test_normalising_gives_the_formulas_bits_whatever_the_order_of_the_bytes(order: tuple[int, ...]):
    spec = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    clips = torch.arange(256, dtype=torch.uint8).expand(2, 3, 1, 3, 256).contiguous()
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (spec.mean, spec.std))

    normal = normalize(clips.permute(order).contiguous().permute(np.argsort(order).tolist()), spec)

    assert torch.equal(normal, (clips.float() / 255 - mean) / std)
    assert normal.is_contiguous()


@pytest.mark.parametrize("case", GOLDEN["multiscale"])
def test_jittered_crops_are_those_of_the_published_code(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    frames = torch.zeros(1, 3, case["h"], case["w"], dtype=torch.uint8)
    config = scale_jitter(case["size"], *case["scales"])
    monkeypatch.setattr(transforms, "_resize", lambda frames, size: frames)  # only the rectangles matter here

    ours = {(box.width, box.height, box.left, box.top) for box in drawn_boxes(frames, config, monkeypatch, times=2000)}
    theirs = {tuple(crop) for crop in case["crop_w_h_x_y"]}

    assert theirs <= ours
    assert len({crop[:2] for crop in ours}) == 10  # four sides and their neighbours


def test_the_sides_of_a_jittered_crop_are_at_most_one_step_apart(monkeypatch: pytest.MonkeyPatch):
    frames = torch.zeros(1, 3, 80, 100, dtype=torch.uint8)
    boxes = drawn_boxes(frames, scale_jitter(64, 1, 0.8, 0.6), monkeypatch, times=400)

    assert {(box.height, box.width) for box in boxes} == {
        *((80, 80), (64, 64), (48, 48)),
        *((80, 64), (64, 80), (64, 48), (48, 64)),
    }


@pytest.mark.parametrize("case", GOLDEN["fill_fix"])
def test_the_thirteen_places_are_those_of_the_published_code(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    height, width, size = case["h"], case["w"], case["crop"]

    class Place:
        """A generator that draws the only pair of sides and then the place wanted."""

        def __init__(self, number: int) -> None:
            self.draws = iter([0, number])

        def integers(self, high: int) -> int:
            return next(self.draws)

    boxes: list[Box] = []
    monkeypatch.setattr(transforms, "crop", lambda frames, box: boxes.append(box) or frames)
    monkeypatch.setattr(transforms, "_resize", lambda frames, size: frames)
    for number in range(13):
        frames = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        transforms.training_crop(frames, scale_jitter(size, size / min(height, width)), Place(number))  # type: ignore[arg-type]

    assert [[box.left, box.top] for box in boxes] == case["thirteen"]
    assert {(box.height, box.width) for box in boxes} == {(size, size)}


@pytest.mark.parametrize(("short", "ratio", "side"), [(66, 1.0, 64), (67, 1.0, 67), (80, 0.78, 64), (80, 0.76, 60)])
def test_a_side_close_to_the_crop_becomes_the_crop(
    monkeypatch: pytest.MonkeyPatch, short: int, ratio: float, side: int
):
    frames = torch.zeros(1, 3, short, 100, dtype=torch.uint8)

    [box] = drawn_boxes(frames, scale_jitter(64, ratio), monkeypatch, times=1)
    assert (box.height, box.width) == (side, side)


def test_a_crop_is_never_larger_than_the_frame(monkeypatch: pytest.MonkeyPatch):
    boxes = drawn_boxes(numbered(62, 80), scale_jitter(64, 1, 0.875), monkeypatch, times=100)

    assert {box.height for box in boxes} == {62, 54}


def test_a_jittered_crop_is_the_rectangle_made_square():
    frames = numbered(64, 64, frames=2)

    whole = transforms.training_crop(frames, scale_jitter(64, 1.0), np.random.default_rng(0))[0]
    assert torch.equal(whole, frames.transpose(0, 1))


def test_a_random_side_draws_every_length_and_every_place(monkeypatch: pytest.MonkeyPatch):
    sides: list[int] = []
    real = transforms.resize_short_side

    def listed(frames: Tensor, side: int) -> Tensor:
        sides.append(side)
        return real(frames, side)

    monkeypatch.setattr(transforms, "resize_short_side", listed)
    boxes = drawn_boxes(numbered(40, 60), random_side(8, 8, 10), monkeypatch, times=400)

    assert set(sides) == {8, 9, 10}
    assert {(box.height, box.width) for box in boxes} == {(8, 8)}
    places = {side: {(b.top, b.left) for s, b in zip(sides, boxes, strict=True) if s == side} for side in (8, 9, 10)}
    assert places[8] == {(0, left) for left in range(5)}  # 8x12
    assert places[9] == {(top, left) for top in range(2) for left in range(6)}  # 9x13
    assert places[10] == {(top, left) for top in range(3) for left in range(8)}  # 10x15


def test_a_random_side_of_one_length_is_a_slice_of_the_resized_frames(monkeypatch: pytest.MonkeyPatch):
    frames = numbered(16, 24, frames=3)

    [box] = drawn_boxes(frames, random_side(8, 16, 16), monkeypatch, times=1)
    cropped = transforms.training_crop(frames, random_side(8, 16, 16), np.random.default_rng(0))[0]
    assert torch.equal(cropped, frames[:, :, box.top : box.top + 8, box.left : box.left + 8].transpose(0, 1))


@pytest.mark.parametrize("flip", [False, True, (("left", "right"),)])
@pytest.mark.parametrize("augment", [scale_jitter, random_side])
def test_half_of_the_clips_are_mirrored_where_asked_for(augment: Any, flip: Flip):
    numbers = (16, 1.0) if augment is scale_jitter else (16, 16, 16)
    frames = numbered(16, 16)
    straight, mirrored = frames.transpose(0, 1), frames.flip(-1).transpose(0, 1)

    drawn = [
        transforms.training_crop(frames, augment(*numbers, flip=flip), np.random.default_rng(n)) for n in range(100)
    ]
    assert all(torch.equal(clip, mirrored if said else straight) for clip, said in drawn)
    count = sum(said for _, said in drawn)
    assert 30 <= count <= 70 if flip else count == 0


@pytest.mark.parametrize("config", [scale_jitter(16, 1, 0.75, flip=True), random_side(16, 18, 30, flip=True)])
def test_all_frames_of_a_clip_share_every_draw(config: AugmentConfig):
    frames = torch.from_numpy(smooth(40, 60)).permute(0, 3, 1, 2).repeat(4, 1, 1, 1)
    seen = set()

    for seed in range(10):
        clip = transforms.training_crop(frames, config, np.random.default_rng(seed))[0]
        assert clip.shape == (3, 4, 16, 16)
        assert clip.dtype == torch.uint8
        assert clip.permute(1, 2, 3, 0).is_contiguous()
        assert torch.equal(clip, clip[:, :1].expand_as(clip))
        seen.add(clip.numpy().tobytes())
    assert len(seen) > 5


@pytest.mark.parametrize("config", [scale_jitter(16, 1, 0.75, flip=True), random_side(16, 18, 30, flip=True)])
def test_a_crop_follows_from_the_generator_alone(config: AugmentConfig):
    frames = numbered(40, 60, frames=2)

    one, two = (transforms.training_crop(frames, config, np.random.default_rng(3))[0] for _ in range(2))
    assert torch.equal(one, two)


def test_frames_are_decoded_at_the_longest_side_that_can_be_drawn():
    assert transforms.needed_side(random_side(16, 18, 30)) == 30
    assert transforms.needed_side(scale_jitter(16, 1.0)) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "scale_jitter", "crop": 8}, "scale_jitter needs ratios"),
        ({"kind": "random_side", "crop": 8}, "random_side needs sides"),
        ({"kind": "random_side", "crop": 8, "sides": [8]}, "random_side needs sides"),
        ({"kind": "random_side", "crop": 8, "sides": [7, 9]}, "random_side needs sides"),
        ({"kind": "random_side", "crop": 8, "sides": [12, 9]}, "random_side needs sides"),
        ({"kind": "scale_jitter", "crop": 8, "ratios": [1.2]}, "ratios"),
        ({"kind": "scale_jitter", "crop": 8, "ratios": [0.0]}, "ratios"),
    ],
)
def test_settings_that_make_no_crop_are_refused(wrong: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        params.build(AugmentConfig, wrong, where="augment")
