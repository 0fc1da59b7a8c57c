"""Samples: which frame, which pixels, which labels; and that nobody but (seed, epoch, video) decides."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import simplejpeg
import torch
from torch import Tensor

from pipeline.clips import dataset, frame_store, sampling, transforms, views
from pipeline.clips.dataset import (
    ClipConfig,
    ClipCrop,
    DecodedVideo,
    MultiViewDataset,
    TrainDataset,
    ViewSpec,
)
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.loader import EpochSampler, loader
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.clips.views import Scale, View, ViewConfig, ViewGrid
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support import damage

Packed = Callable[[dict[str, list[bytes]]], FrameStore]

SEGMENTS = SamplerConfig("segments", 3)
SMALL = AugmentConfig("random_side", 8, sides=(8, 12))
WHOLE = AugmentConfig("scale_jitter", 16, ratios=(1.0,), flip=False)


def grey(*values: int, size: int = 16) -> list[bytes]:
    """Square frames of one grey each, which JPEG keeps to the bit."""
    return [simplejpeg.encode_jpeg(np.full((size, size, 3), value, np.uint8)) for value in values]


def noise(frames: int, seed: int, height: int = 40, width: int = 60) -> list[bytes]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(256, size=(frames, height // 4, width // 4, 3), dtype=np.uint8)
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(frame)) for frame in coarse.repeat(4, 1).repeat(4, 2)]


def manifest(*train: str) -> Manifest:
    """Some train videos, odd ones labelled b; one val and one test video."""
    rows = [VideoRecord(video, "train", video, "ab"[number % 2], "x") for number, video in enumerate(train)]
    others = [VideoRecord(f"{split} video", split, split, "a;b", "x") for split in ("val", "test")]
    return Manifest.from_records([*rows, *others], ["a", "b"])


def test_a_video_of_no_class_has_no_label_and_its_neighbours_keep_theirs(packed: Packed):
    rows = [VideoRecord(video, "train", video, labels, "x") for video, labels in (("0", "a"), ("1", ";"), ("2", "a;b"))]
    others = [VideoRecord(split, split, split, "b", "x") for split in ("val", "test")]
    train = Manifest.from_records([*rows, *others], ["a", "b"]).split("train")
    clips = TrainDataset(train, packed({video: noise(9, int(video)) for video in "012"}), SEGMENTS, SMALL, seed=0)
    assert [clips[0, position][1].tolist() for position in range(3)] == [[1, 0], [0, 0], [1, 1]]


def training_clips(packed: Packed, seed: int = 0, augment: AugmentConfig = SMALL, videos: int = 10) -> TrainDataset:
    stored = {f"{number}.mp4": noise(9, number) for number in range(videos)}
    return TrainDataset(manifest(*stored).split("train"), packed(stored), SEGMENTS, augment, seed)


def epoch_of(dataset: TrainDataset, epoch: int, workers: int = 0, first: int = 0) -> list[tuple[Tensor, Tensor]]:
    """The batches of an epoch as training gets them."""
    sampler = EpochSampler(len(dataset), batch=4, seed=7)
    sampler.epoch, sampler.first = epoch, first
    batches = loader(dataset, workers, pin=False, batch_sampler=sampler, collate_fn=TrainDataset.collate)
    return [tuple(batch) for batch in batches]


def assert_same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> None:
    assert len(one) == len(other) > 0
    for (clip, labels), (other_clip, other_labels) in zip(one, other, strict=True):
        assert torch.equal(clip, other_clip)
        assert torch.equal(labels, other_labels)


def test_one_loader_gives_every_epoch_its_own_order(packed: Packed):
    dataset = training_clips(packed)
    sampler = EpochSampler(len(dataset), batch=4, seed=7)
    batches = loader(dataset, 0, pin=False, batch_sampler=sampler, collate_fn=TrainDataset.collate)

    for epoch in (0, 1):
        sampler.epoch = epoch
        assert_same([tuple(batch) for batch in batches], epoch_of(dataset, epoch))


def test_a_batch_is_its_samples_with_the_colours_of_each_pixel_together(packed: Packed):
    dataset = training_clips(packed)
    samples = [dataset[1, position] for position in (3, 1)]

    clips, labels = TrainDataset.collate(samples)
    assert torch.equal(clips, torch.stack([clip for clip, _ in samples]))
    assert torch.equal(labels, torch.stack([own for _, own in samples]))
    assert clips.permute(0, 2, 3, 4, 1).is_contiguous()


def test_a_training_clip_shows_frames_of_its_video_with_its_labels(packed: Packed):
    stored = {"x.mp4": grey(*range(9)), "y.mp4": grey(*range(100, 109))}
    dataset = TrainDataset(manifest(*stored).split("train"), packed(stored), SEGMENTS, WHOLE, seed=0)

    for position, (start, labels) in enumerate([(0, [1, 0]), (100, [0, 1])]):
        clip, target = dataset[0, position]
        assert clip.shape == (3, 3, 16, 16)
        assert clip.dtype == torch.uint8
        first, second, third = (clip[0, :, 0, 0] - start).tolist()
        assert (first // 3, second // 3, third // 3) == (0, 1, 2)  # one frame of every third of the video
        assert torch.equal(clip, clip[:1, :, :1, :1].expand_as(clip))
        assert target.tolist() == labels
        assert target.dtype == torch.float32
    assert len(dataset) == 2


def test_a_mirrored_clip_has_the_label_of_its_classs_partner_and_any_other_its_own(packed: Packed):
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, 8:] = 255  # bright on the right
    stored = {"x.mp4": [simplejpeg.encode_jpeg(half)] * 3}
    augment = replace(WHOLE, flip=(("c", "a"),))
    records = [VideoRecord("x.mp4", "train", "x.mp4", "a;b", "x")]
    dataset = TrainDataset(Manifest(pd.DataFrame(records), ("a", "b", "c")), packed(stored), SEGMENTS, augment, seed=0)

    seen = set()
    for epoch in range(20):
        clip, labels = dataset[epoch, 0]
        mirrored = bool(clip[0, 0, 0, 0] > 128)
        assert labels.tolist() == ([0, 1, 1] if mirrored else [1, 1, 0])
        seen.add(mirrored)
    assert seen == {True, False}


def test_what_is_not_known_of_a_class_is_not_known_of_its_partner_in_the_mirror(packed: Packed):
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, 8:] = 255  # bright on the right
    store = packed({video: [simplejpeg.encode_jpeg(half)] * 3 for video in "01"})
    rows = [VideoRecord(video, "train", video, text, "x") for video, text in (("0", "a;b;c"), ("1", "b;?a"))]
    augment = replace(WHOLE, flip=(("c", "a"),))
    train = TrainDataset(Manifest(pd.DataFrame(rows), ("a", "b", "c")), store, SEGMENTS, augment, seed=0)
    seen = set()
    for epoch in range(20):
        assert train[epoch, 0][1].tolist() == [1, 1, 1]
        clip, labels = train[epoch, 1]
        mirrored = bool(clip[0, 0, 0, 0] > 128)
        assert labels.tolist() == ([0, 1, -1] if mirrored else [-1, 1, 0])
        seen.add(mirrored)
    assert seen == {False, True}


def test_clips_are_not_drawn_before_it_is_known_whether_they_are_mirrored(packed: Packed):
    with pytest.raises(AssertionError):
        training_clips(packed, augment=replace(WHOLE, flip="auto"))


def test_a_training_clip_is_a_function_of_seed_epoch_and_video(packed: Packed):
    dataset = training_clips(packed)
    other_seed = TrainDataset(manifest(*dataset.videos).split("train"), dataset.store, SEGMENTS, SMALL, seed=1)
    shuffled = TrainDataset(manifest(*reversed(dataset.videos)).split("train"), dataset.store, SEGMENTS, SMALL, seed=0)

    clip = dataset[2, 3][0]
    dataset[0, 0]  # what was asked for before does not matter
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(dataset[2, 3][0], clip)
    assert torch.equal(shuffled[2, 6][0], clip)  # the same video at another place
    assert not torch.equal(dataset[3, 3][0], clip)
    assert not torch.equal(other_seed[2, 3][0], clip)


def test_videos_draw_independently(packed: Packed):
    frames = noise(9, 0)
    stored = {f"{number}.mp4": frames for number in range(8)}  # the same pixels under other names
    dataset = TrainDataset(manifest(*stored).split("train"), packed(stored), SEGMENTS, SMALL, seed=0)

    assert len({dataset[0, position][0].numpy().tobytes() for position in range(8)}) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_samples(packed: Packed, workers: int):
    dataset = training_clips(packed)

    assert_same(epoch_of(dataset, epoch=1, workers=workers), epoch_of(dataset, epoch=1))


def test_an_epoch_that_goes_on_gives_the_samples_that_were_left(packed: Packed):
    dataset = training_clips(packed, videos=12)

    assert_same(epoch_of(dataset, epoch=1, first=1), epoch_of(dataset, epoch=1)[1:])


def test_every_epoch_draws_another_clip(packed: Packed):
    stored = {"x.mp4": grey(*range(8))}
    dense = SamplerConfig("dense", 3, 2)
    dataset = TrainDataset(manifest(*stored, "y").split("train"), packed(stored), dense, WHOLE, seed=0)

    drawn = {tuple(dataset[epoch, 0][0][0, :, 0, 0].tolist()) for epoch in range(60)}
    assert drawn == {(0, 2, 4), (1, 3, 5), (2, 4, 6)}


def whole_frames(read: FrameStore, video: str) -> Tensor:
    """Every frame of a video at full size: (T, 3, H, W)."""
    decoded = [simplejpeg.decode_jpeg(bytes(jpeg)) for jpeg in read.read(video, range(read.frames(video)))]
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)


def view_by_itself(read: FrameStore, video: str, sampler: SamplerConfig, view: View) -> Tensor:
    """One view, computed without a thought for the others."""
    frames = whole_frames(read, video)
    chosen = frames[sampling.testing_clips(sampler, len(frames), view.clips)[view.clip]]
    height, width = frames.shape[-2:]
    short = min(height, width)
    size = [height * view.scale.side // short, width * view.scale.side // short]
    resized = torch.nn.functional.interpolate(chosen.float(), size, mode="bilinear", antialias=True)
    box = transforms.crop_box(*resized.shape[-2:], view.scale.crop, view.crop)
    return resized[:, :, box.top : box.top + box.height, box.left : box.left + box.width].transpose(0, 1)


@pytest.mark.parametrize("sampler", [SEGMENTS, SamplerConfig("dense", 4, 2), SamplerConfig("dense", 4, 5)])
@pytest.mark.parametrize("upright", [False, True])
def test_views_are_what_each_would_be_by_itself(packed: Packed, sampler: SamplerConfig, upright: bool):
    height, width = (60, 40) if upright else (40, 60)
    read = packed({"a.mp4": noise(11, 0, height, width), "b.mp4": noise(5, 1, height, width)})
    grid = views.grid(Scale(32, 24), ViewConfig(clips=2, sides=(40, 32), crop=None))
    dataset = MultiViewDataset(["b.mp4", "a.mp4"], read, sampler, grid)

    assert len(dataset) == 2
    for position, video in enumerate(["b.mp4", "a.mp4"]):
        found = dataset[position]
        assert {size: len(batch) for size, batch in found.items()} == {24: 1, 40: 6, 32: 6}
        for size in (24, 40, 32):
            positions = [k for k, view in enumerate(grid.views) if view.scale.crop == size]
            for clip, number in zip(found[size], positions, strict=True):
                expected = view_by_itself(read, video, sampler, grid.views[number])
                assert clip.dtype == torch.uint8
                assert clip.shape == (3, sampler.frames, size, size)
                assert (clip.float() - expected).abs().max() < 1.5  # bytes, rounded once for each direction


def test_views_at_the_stored_size_are_the_stored_pixels(packed: Packed):
    read = packed({"a.mp4": noise(6, 0)})
    grid = views.grid(Scale(40, 40), ViewConfig(clips=1, sides=(40,), crop=None))

    found = MultiViewDataset(["a.mp4"], read, SEGMENTS, grid)[0][40]
    frames = whole_frames(read, "a.mp4")[[1, 3, 5]].transpose(0, 1)  # the centres of three parts of two frames
    centre, left, right = found
    assert torch.equal(left, frames[..., :40])
    assert torch.equal(centre, frames[..., 10:50])
    assert torch.equal(right, frames[..., 20:])


def test_every_frame_is_decoded_once_for_all_views(packed: Packed, monkeypatch: pytest.MonkeyPatch):
    read = packed({"a.mp4": noise(20, 0)})
    counts: list[int] = []
    real = transforms.decode

    def counted(jpegs: list[memoryview], *others: Any) -> Tensor:
        counts.append(len(jpegs))
        return real(jpegs, *others)

    monkeypatch.setattr(transforms, "decode", counted)
    grid = views.grid(Scale(32, 24), ViewConfig(clips=3, sides=(40, 32), crop=None))
    MultiViewDataset(["a.mp4"], read, SamplerConfig("dense", 4, 1), grid)[0]

    assert counts == [12]  # three clips of four frames; the centre clip is the second of them


def test_views_share_a_batch_with_those_of_their_size():
    crops = [ClipCrop(side, (0,), Box(0, 0, size, size)) for side, size in ((64, 48), (64, 64), (48, 48))]

    assert dataset.group_by_size(crops) == {48: [0, 2], 64: [1]}


def crops_of(
    read: FrameStore, video: str, sampler: SamplerConfig, config: ViewConfig
) -> tuple[ViewGrid, list[ClipCrop]]:
    grid = views.grid(Scale(32, 32), config)
    decoded = dataset.decode_video(read, video, [ViewSpec(sampler, grid)])
    return grid, list(decoded.crops[0])


@pytest.mark.parametrize(
    ("frames", "window", "starts"),
    [
        (90, SamplerConfig("dense", 44, 2), 3),
        (90, SamplerConfig("dense", 32, 2), 10),
        (60, SamplerConfig("dense", 32, 2), 1),
    ],
)
def test_views_with_the_same_frames_and_box_are_equal_crops(
    packed: Packed, frames: int, window: SamplerConfig, starts: int
):
    """A window of 88 frames has the starts 0, 1 and 2 in a video of 90, however many clips are asked for."""
    read = packed({"a.mp4": grey(*range(frames), size=24)})
    grid, crops = crops_of(read, "a.mp4", window, ViewConfig(clips=10, sides=(24,), crop=None))
    decoded = dataset.decode_video(read, "a.mp4", [ViewSpec(window, grid)])

    dense = [crops[k] for k in grid.protocols["dense"]]
    assert len(set(dense)) == starts  # of square frames all three crops are the same
    by_name = {grid.views[k]: crops[k].pixels(decoded.frames) for k in grid.protocols["dense"]}
    for one, pixels in by_name.items():
        for other, others in by_name.items():
            same = crops[grid.views.index(one)] == crops[grid.views.index(other)]
            assert same == torch.equal(pixels, others)


def test_of_a_square_video_all_whole_crops_are_one(packed: Packed):
    read = packed({"a.mp4": noise(6, 0, 40, 40), "b.mp4": noise(6, 0, 40, 44)})
    config = ViewConfig(clips=1, sides=(40,), crop=None)

    assert len(set(crops_of(read, "a.mp4", SEGMENTS, config)[1][1:])) == 1
    assert len(set(crops_of(read, "b.mp4", SEGMENTS, config)[1][1:])) == 3


def test_random_crops_lie_anywhere_and_are_drawn_for_each_view_by_itself(packed: Packed):
    read = packed({f"{name}.mp4": noise(6, 0, 40, 60) for name in "ab"})
    config = ViewConfig(clips=10, sides=(40,), crop=30, crops="random")

    grid, crops = crops_of(read, "a.mp4", SEGMENTS, config)
    drawn = [(crops[k].box.top, crops[k].box.left) for k in grid.protocols["dense"]]
    assert len(set(drawn)) > 20
    assert {min(top for top, _ in drawn), max(top for top, _ in drawn)} <= {*range(4), *range(7, 11)}
    assert all(0 <= top <= 10 and 0 <= left <= 30 for top, left in drawn)
    assert max(left for _, left in drawn) - min(left for _, left in drawn) > 20
    assert crops[0].box == Box(0, 14, 32, 32) or crops[0].box.top == 0, "the centre view is not drawn"

    def boxes(video: str, **changes) -> list[Box]:
        return [crop.box for crop in crops_of(read, video, SEGMENTS, replace(config, **changes))[1][1:]]

    assert boxes("a.mp4") == boxes("a.mp4") == [crop.box for crop in crops[1:]]
    assert boxes("a.mp4") != boxes("b.mp4")
    assert boxes("a.mp4") != boxes("a.mp4", seed=1)
    assert boxes("a.mp4", sides=(40, 50))[:30] == boxes("a.mp4"), "another scale does not move the crops of the first"


def test_several_models_see_what_each_would_see_alone(packed: Packed):
    read = packed({"a.mp4": noise(20, 0)})
    specs = [
        ViewSpec(SEGMENTS, views.grid(Scale(32, 24), ViewConfig(2, (40, 32), None))),
        ViewSpec(SamplerConfig("dense", 4, 2), views.grid(Scale(40, 40), ViewConfig(3, (32,), 16))),
    ]
    together = dataset.decode_video(read, "a.mp4", specs)
    for spec, crops in zip(specs, together.crops, strict=True):
        alone = dataset.decode_video(read, "a.mp4", [spec])
        for crop, own in zip(crops, alone.crops[0], strict=True):
            assert torch.equal(crop.pixels(together.frames), own.pixels(alone.frames))


def test_any_number_of_workers_gives_the_same_views(packed: Packed):
    read = packed({f"{number}.mp4": noise(6, number) for number in range(5)})
    grid = views.grid(Scale(32, 24), ViewConfig(clips=1, sides=(32,), crop=None))
    dataset = MultiViewDataset(read.videos, read, SEGMENTS, grid)

    alone, by_two = (list(loader(dataset, workers, pin=False, batch_size=None)) for workers in (0, 2))
    assert len(alone) == len(by_two) == 5
    for one, other in zip(alone, by_two, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[size], other[size]) for size in one)


@pytest.mark.parametrize("bad", [b"no JPEG", grey(1)[0][:-300], grey(1, size=24)[0]])
def test_a_stored_frame_that_does_not_decode_is_refused_with_shard_and_command(packed: Packed, bad: bytes):
    stored = {"x.mp4": grey(1, 2, 3), "y.mp4": grey(4, 5, 6)}
    read = packed(stored)
    values = [("x.mp4", frame_store.encode([stored["x.mp4"][0], bad, stored["x.mp4"][2]], 16, 16))]
    damage.replace_shard(read.root, [*values, ("y.mp4", frame_store.encode(stored["y.mp4"], 16, 16))])
    read = FrameStore(read.root)
    broken = MultiViewDataset(["x.mp4", "y.mp4"], read, SEGMENTS, views.grid(Scale(16, 16), ViewConfig(1, (16,), None)))
    trained = TrainDataset(manifest(*stored).split("train"), read, SEGMENTS, WHOLE, seed=0)

    for ask in (lambda: broken[0], lambda: trained[0, 0]):
        with pytest.raises(UserError, match=r"a\.lmdb is damaged \(video 'x\.mp4'.*pipeline doctor --deep"):
            ask()
    assert broken[1][16].shape == (3, 3, 3, 16, 16)
    assert trained[0, 1][0].shape == (3, 3, 16, 16)


def test_a_video_that_the_store_lacks_is_refused(packed: Packed):
    read = packed({"x.mp4": grey(1)})

    with pytest.raises(UserError, match=r"no video 'y\.mp4'"):
        TrainDataset(manifest("x.mp4", "y.mp4").split("train"), read, SEGMENTS, WHOLE, seed=0)[0, 1]


def test_datasets_can_be_sent_to_spawned_workers(packed: Packed):
    dataset = training_clips(packed)
    before = dataset[0, 0][0]

    assert torch.equal(pickle.loads(pickle.dumps(dataset))[0, 0][0], before)  # noqa: S301


def test_a_crop_larger_than_the_side_is_refused():
    settings = {"sampler": {"kind": "segments", "frames": 8}, "side": 48, "crop": 49}

    with pytest.raises(UserError, match="a crop of 49 pixels does not fit into a short side of 48"):
        params.build(ClipConfig, settings, where="models.tsm.clip")
    assert params.build(ClipConfig, settings | {"crop": 48}, where="models.tsm.clip").centre == Scale(48, 48)


def test_pinned_memory_holds_every_frame_under_its_own_scale(monkeypatch):
    """Without a GPU there is none: a copy stands for it."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self.clone()) or pinned[-1])
    decoded = DecodedVideo({32: torch.zeros(2, 3, 32, 40), 36: torch.ones(1, 3, 36, 45)}, ((),))
    found = decoded.pin_memory()
    assert found.crops == decoded.crops
    assert found.frames.keys() == decoded.frames.keys()
    for side, frames in found.frames.items():
        assert any(frames is tensor for tensor in pinned)
        assert torch.equal(frames, decoded.frames[side])
