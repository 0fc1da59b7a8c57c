"""Windows of sound: where they lie, and that nothing but seed, epoch and video decides on them."""

import numpy as np
import pytest
import torch

from pipeline.clips import sound_dataset, views
from pipeline.clips.inputs import hears, read_clip, store_of
from pipeline.clips.sound_dataset import SoundClipConfig, WindowSpec
from pipeline.clips.sound_store import RATE, SoundStore
from pipeline.clips.views import ViewConfig, Window
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support import tiny_sound

LONG, SHORT = np.arange(2000, dtype=np.int16), np.arange(100, dtype=np.int16)
CONFIG = ViewConfig(clips=3, sides=(), crop=None)


@pytest.fixture
def store(tmp_path) -> SoundStore:
    tiny_sound.write(tmp_path / "sound", {"long": LONG, "short": SHORT})
    return SoundStore(tmp_path / "sound")


@pytest.fixture
def manifest() -> Manifest:
    rows = [("long", "train", "a"), ("short", "train", "b;?a"), ("v", "val", "a"), ("t", "test", "b")]
    return Manifest.from_records([VideoRecord(v, s, f"{v}.mp4", labels) for v, s, labels in rows], ["a", "b"])


def clips(store: SoundStore, manifest: Manifest, samples: int, seed: int = 0) -> sound_dataset.SoundTrainDataset:
    return sound_dataset.SoundTrainDataset(manifest.split("train"), store, samples, seed)


def test_a_training_window_is_any_part_of_the_sound(store, manifest):
    starts = set()
    for epoch in range(300):
        window, labels = clips(store, manifest, 1990)[epoch, 0]
        starts.add(start := int(window[0]))
        assert np.array_equal(window.numpy(), LONG[start : start + 1990])
        assert labels.tolist() == [1, 0]
    assert starts == set(range(11))


def test_a_window_is_a_function_of_seed_epoch_and_video(store, manifest):
    once, other = clips(store, manifest, 50), clips(store, manifest, 50, seed=1)
    assert torch.equal(once[3, 0][0], clips(store, manifest, 50)[3, 0][0])
    assert any(not torch.equal(once[e, 0][0], other[e, 0][0]) for e in range(3))


def test_a_short_sound_begins_again_and_is_never_padded_with_silence(store, manifest):
    window, labels = clips(store, manifest, 250)[0, 1]
    assert np.array_equal(window.numpy(), [*SHORT, *SHORT, *SHORT[:50]])
    assert labels.tolist() == [-1, 1]
    decoded = sound_dataset.heard(store, "short", [WindowSpec(250, views.windows(CONFIG))])
    for crop in decoded.crops[0]:
        assert torch.equal(crop.pixels(decoded.frames), window)


def test_protocols_are_the_centre_and_evenly_spaced_windows():
    grid = views.windows(CONFIG)
    assert grid.views == (Window(1, 0), Window(3, 0), Window(3, 1), Window(3, 2))
    assert grid.protocols == {"clip": (0,), "dense": (1, 2, 3), "multiscale": (1, 2, 3)}
    assert [sound_dataset.start_of(one, 1000, 400) for one in grid.views] == [300, 0, 300, 600]
    assert [sound_dataset.start_of(one, 300, 400) for one in grid.views] == [0, 0, 0, 0]
    assert grid.describe()["views"][1] == {"clips": 3, "clip": 0}
    assert grid.sides == set()
    assert views.windows(ViewConfig(clips=1, sides=(), crop=None)).protocols["dense"] == (0,)


def test_tested_windows_are_those_of_the_sound(store):
    decoded = sound_dataset.heard(
        store, "long", [WindowSpec(400, views.windows(CONFIG)), WindowSpec(10, views.windows(CONFIG))]
    )
    assert list(decoded.frames) == [RATE]
    found = [[int(crop.pixels(decoded.frames)[0]) for crop in crops] for crops in decoded.crops]
    assert found == [[800, 0, 800, 1600], [995, 0, 995, 1990]]
    assert [crop.size for crop in decoded.crops[1]] == [10] * 4
    centre = SoundClipConfig("sound", 0.1).centres(["short", "long"], store)[1]
    assert {size: views_.shape for size, views_ in centre.items()} == {1600: (1, 1600)}
    assert int(centre[1600][0, 0]) == 200


def test_a_section_says_what_a_model_takes(store, tmp_path):
    clip = {"input": "sound", "seconds": 3.0}
    assert read_clip(clip, "here") == SoundClipConfig("sound", 3.0)
    assert read_clip(clip, "here").samples == 48_000
    assert isinstance(store_of(clip, tmp_path, store.root, tmp_path), SoundStore)
    assert not hears({"sampler": {}, "side": 40, "crop": 40})
    with pytest.raises(UserError, match=r"here: seconds must lie in 0.1 .. 60, not 0"):
        read_clip({"input": "sound", "seconds": 0}, "here")
    with pytest.raises(UserError, match=r"here.input: must be one of 'frames', 'flow', 'sound', not 'sond'"):
        read_clip({"input": "sond", "sampler": {"kind": "segments", "frames": 2}, "side": 4, "crop": 4}, "here")
