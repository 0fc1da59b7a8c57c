"""A model that hears: it is trained, resumed and tested as those that see are."""

import json
import signal

import numpy as np
import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.inference import run as inference_run
from pipeline.layers.log_mel import MelSpec, log_mel
from pipeline.models.audio_cnn import INPUT
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.runtime.signals import Stopped
from pipeline.training import trainer
from pipeline.training.mixup import MixConfig, mix
from tests.support import tiny, tiny_sound

pytestmark = pytest.mark.slow  # each test trains


def fit(folder, name, config=None, **machine):
    out = folder / name
    on = tiny.machine(folder / f"{name}-work", **machine)
    return out, trainer.fit(config or tiny_sound.model(), *tiny_sound.corpus(folder / "sound"), out, on)


def test_pitches_are_learnt_and_the_checkpoint_says_what_it_hears(tmp_path):
    out, state = fit(tmp_path, "out", tiny_sound.model(epochs=15))
    assert state.history[state.best_epoch]["val_mAP"] > 90
    kept = Checkpoint.read(out)
    assert kept.input == INPUT
    assert isinstance(kept.input, MelSpec)
    assert kept.recipe["train_videos"] == 8
    assert kept.recipe["clip"] == {"input": "sound", "seconds": tiny_sound.SECONDS}
    assert set(kept.recipe["data"]) == {"sound", "labels", "statistics"}
    again, _ = tiny_sound.model().build(3)
    report = load_pretrained(again, out / FILE, classes=kept.classes)
    assert report.input == INPUT
    assert all(torch.equal(value, kept.weights[name]) for name, value in again.state_dict().items())


def test_the_bytes_do_not_depend_on_workers_or_on_a_stop(tmp_path, monkeypatch):
    config = tiny_sound.model(mix=MixConfig(mixup=0.4))
    whole, _ = fit(tmp_path, "whole", config)
    more, _ = fit(tmp_path, "more", config, workers=2)
    step = trainer.TrainStep.__call__

    def ends(self, pieces, lr, number, stop=False):
        return step(self, pieces, lr, number, stop or number == 3)

    monkeypatch.setattr(trainer.TrainStep, "__call__", ends)
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path, "stopped", config)
    assert stopped.value.status == 128 + signal.SIGTERM
    monkeypatch.setattr(trainer.TrainStep, "__call__", step)
    resumed, _ = fit(tmp_path, "stopped", config)
    assert (whole / FILE).read_bytes() == (more / FILE).read_bytes() == (resumed / FILE).read_bytes()


def test_the_recipe_counts_the_train_videos_that_have_sound_alone(tmp_path):
    manifest, store, statistics = tiny_sound.corpus(tmp_path / "sound", train=8)
    del store._values["train2"], store._values["train5"]
    out = tmp_path / "out"
    trainer.fit(tiny_sound.model(epochs=1), manifest, store, statistics, out, tiny.machine(tmp_path / "work"))
    assert Checkpoint.read(out).recipe["train_videos"] == 6


def test_too_few_videos_with_sound_are_called_so_and_not_without_frames(tmp_path):
    corpus, on = tiny_sound.corpus(tmp_path / "sound", val=1), tiny.machine(tmp_path / "work")
    with pytest.raises(UserError, match="No val video with sound: no epoch could be told the best"):
        trainer.fit(tiny_sound.model(), *corpus, tmp_path / "out", on)
    with pytest.raises(UserError, match="A batch of 9 is more than the 8 train videos with sound"):
        trainer.fit(tiny_sound.model(batch=9), *corpus, tmp_path / "out", on)


def test_spectrograms_are_mixed_as_clips_are():
    images, targets = torch.rand(3, 1, 4, 5), torch.eye(3)
    torch.manual_seed(1)
    mixed, shares = mix(images, targets, MixConfig(mixup=1.0))
    lam = shares[0, 0]
    torch.testing.assert_close(mixed, lam * images + (1 - lam) * images.roll(1, 0))
    torch.testing.assert_close(shares, lam * targets + (1 - lam) * targets.roll(1, 0))


def test_a_video_without_sound_is_unseen_and_holds_the_prior(tmp_path):
    out, _ = fit(tmp_path, "net")
    manifest, store, statistics = tiny_sound.corpus(tmp_path / "sound")
    to, on = tmp_path / "predictions", tiny.machine(tmp_path / "work")
    inference_run.run_inference("net", {"net": tiny_sound.VIEWS}, manifest, store, statistics, out, to, on)

    for split, videos in (("val", 4), ("test", 3)):
        table = PredictionTable.read(to / f"{split}.parquet")
        assert table.unseen.tolist() == [False] * (videos - 1) + [True]
        assert not table.broken.any()
        np.testing.assert_allclose(table.probabilities[-1], statistics.prior, atol=1e-3)
        views = ViewScores.read(to, split)
        assert views.logits.shape == (videos, 3, 3)
        assert json.loads((to / f"{split}.views.json").read_text())["views"][2] == {"clips": 2, "clip": 1}
        for row in range(videos - 1):
            assert len({views.logits[row, k].tobytes() for k in range(3)}) > 1

    again = tmp_path / "again"
    several = tiny.machine(tmp_path / "others", workers=2, videos_per_pass=4)
    inference_run.run_inference("net", {"net": tiny_sound.VIEWS}, manifest, store, statistics, out, again, several)
    for split in ("val", "test"):
        one, other = (ViewScores.read(folder, split).logits for folder in (to, again))
        np.testing.assert_allclose(one.astype(float), other.astype(float), atol=1e-2)


def test_the_logits_of_a_window_are_those_of_its_samples_alone(tmp_path):
    out, _ = fit(tmp_path, "net")
    manifest, store, statistics = tiny_sound.corpus(tmp_path / "sound")
    to, on = tmp_path / "predictions", tiny.machine(tmp_path / "work")
    inference_run.run_inference("net", {"net": tiny_sound.VIEWS}, manifest, store, statistics, out, to, on)
    kept = Checkpoint.read(out)
    network, _ = tiny_sound.model().build(3)
    network.load_state_dict(kept.weights)
    sound, window = store.read("val0"), round(tiny_sound.SECONDS * 16_000)
    starts = [(len(sound) - window) // 2, 0, len(sound) - window]
    with torch.inference_mode():
        parts = torch.stack([torch.from_numpy(sound[start : start + window]) for start in starts])
        expected = network.eval()(log_mel(parts, INPUT))
    found = ViewScores.read(to, "val").logits[0].astype(np.float32)
    np.testing.assert_allclose(found, expected.numpy(), atol=5e-3)
