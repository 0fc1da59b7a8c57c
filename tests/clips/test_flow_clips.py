"""Clips of flow: which levels, in which order, and what a mirror does to them."""

import numpy as np
import pytest
import simplejpeg
import torch

from pipeline.clips import dataset, inputs, transforms, views
from pipeline.clips.dataset import ClipConfig, TrainDataset
from pipeline.clips.inputs import alike, input_of, store_of
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.sound_store import SoundStore
from pipeline.clips.transforms import AugmentConfig
from pipeline.clips.views import View, ViewConfig
from pipeline.core.errors import UserError
from tests.support import tiny_flow, tiny_sound
from tests.support.tiny_flow import WAYS

PLACES = SamplerConfig("segments", 2, consecutive=5)
WHOLE = AugmentConfig("scale_jitter", 32, ratios=(1.0,), flip=False)
CENTRE = views.of_one(View(1, 0, ClipConfig(PLACES, 32, 32).centre, "centre"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tiny_flow.corpus(tmp_path_factory.mktemp("flow"))


def levels(store, video: str, number: int) -> np.ndarray:
    """x and y of a flow, (2, H, W), by another decoder's call."""
    return np.stack([simplejpeg.decode_jpeg(bytes(data), "GRAY")[..., 0] for data in store.read(video, [number])])


def test_a_view_is_five_consecutive_flows_at_each_place_as_they_are_stored(corpus):
    """Of 7 flows, 3 have 4 behind them: the places begin at 0 (3 x 1 / 4) and 2 (3 x 3 / 4)."""
    store = corpus[1]
    decoded = dataset.decode_video(store, "val0", [dataset.ViewSpec(PLACES, CENTRE)])
    clip = decoded.crops[0][0].pixels(decoded.frames)
    assert clip.shape == (2, 10, 32, 32)
    for position, number in enumerate([0, 1, 2, 3, 4, 2, 3, 4, 5, 6]):
        np.testing.assert_array_equal(clip[:, position].numpy(), levels(store, "val0", number)[:, :, 4:36])


def test_a_mirror_turns_x_about_128_and_leaves_y():
    flow = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256).repeat(1, 2, 1, 1)
    turned = transforms.mirrored_flow(flow)
    assert turned[0, 0, 0].tolist() == [min(255, 256 - value) for value in reversed(range(256))]
    assert turned[0, 1, 0].tolist() == list(reversed(range(256)))
    assert flow[0, 0, 0].tolist() == list(range(256))
    assert torch.equal(transforms.mirrored_flow(turned)[0, 0, 0, 2:], flow[0, 0, 0, 2:])


def test_half_of_the_clips_are_mirrored_and_swap_their_labels_with_their_way(corpus):
    manifest, store, _ = corpus
    flip = (("left", "right"),)
    mirrored = TrainDataset(
        manifest.split("train"), store, PLACES, AugmentConfig(**vars(WHOLE) | {"flip": flip}), seed=0
    )
    seen = set()
    for epoch in range(8):
        for position, video in enumerate(mirrored.videos):
            clip, labels = mirrored[epoch, position]
            assert clip.shape == (2, 10, 32, 32)
            way = list(WAYS)[int(labels.argmax())]
            x, y = (clip[part, :, 8:-8, 8:-8].float().median().item() for part in (0, 1))
            assert abs(x - (128 + 6.375 * WAYS[way][0])) <= 2, (video, way)
            assert abs(y - (128 + 6.375 * WAYS[way][1])) <= 2, (video, way)
            seen.add((list(WAYS)[position % 3], way))
    assert seen == {("down", "down"), ("left", "left"), ("left", "right"), ("right", "right"), ("right", "left")}


def test_resizing_leaves_the_levels_as_they_are(corpus):
    """Two pixels to the right are 141 at whatever size."""
    manifest, store, _ = corpus
    larger = AugmentConfig("random_side", 48, sides=(64, 64), flip=False)
    clips = TrainDataset(manifest.split("train"), store, PLACES, larger, seed=0)
    clip, labels = clips[0, 2]
    assert list(WAYS)[int(labels.argmax())] == "right"
    assert abs(clip[0].float().median().item() - 140.75) <= 2


def test_scales_of_a_grid_are_those_of_frames(corpus):
    grid = views.grid(ClipConfig(PLACES, 32, 32, "flow").centre, ViewConfig(clips=2, sides=(32, 40), crop=32))
    decoded = dataset.decode_video(corpus[1], "val0", [dataset.ViewSpec(PLACES, grid)])
    assert {side: tuple(frames.shape[1:]) for side, frames in decoded.frames.items()} == {
        32: (2, 32, 40),
        40: (2, 40, 50),
    }


def test_a_damaged_flow_is_said_with_its_shard(corpus, monkeypatch):
    store = corpus[1]
    monkeypatch.setattr(type(store), "read", lambda *_: [memoryview(b"nothing")] * 2)
    with pytest.raises(UserError, match=r"flow/shard-00000.lmdb is damaged \(video 'val0'.*dvc repro flow"):
        dataset.decode_video(store, "val0", [dataset.ViewSpec(PLACES, CENTRE)])


def test_a_section_says_which_store_is_read(corpus, tmp_path):
    store = corpus[1]
    flow, lmdb = store.root, store.root.with_name("lmdb")
    sound = tiny_sound.corpus(tmp_path / "sound")[1].root
    clips = {"a": {"side": 40}, "b": {"input": "flow"}, "c": {"input": "sound"}, "d": {"input": "flow"}}
    assert [input_of(clip) for clip in clips.values()] == ["frames", "flow", "sound", "flow"]
    assert alike(clips, "b") == ["b", "d"]
    assert store_of(clips["b"], lmdb, sound, flow).root == flow
    assert isinstance(store_of(clips["c"], lmdb, sound, flow), SoundStore)
    assert store_of(clips["a"], lmdb, sound, flow).holds == "frames"
    tested = inputs.tested_store_of(clips["b"], lmdb, sound, flow)
    assert ("val3" in tested, tested.broken("val3")) == (False, False)
    assert ("nobody" in tested, tested.broken("nobody")) == (False, True)
    assert tested.holds == "flow"
