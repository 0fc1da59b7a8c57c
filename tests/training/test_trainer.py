"""A whole training: what it writes, how it is stopped and goes on, and what it refuses before it begins."""

import contextlib
import hashlib
import json
import logging
import os
import signal
import time
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import label_ranking_average_precision_score as ranking

from pipeline.clips.dataset import MultiViewDataset
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core import files, registry
from pipeline.core.errors import UserError
from pipeline.inference.predictor import Predictor
from pipeline.pretrained import imagenet
from pipeline.runtime import distributed, fingerprint, signals
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.training import evaluate, trainer
from pipeline.training.config import LossConfig
from pipeline.training.mixup import MixConfig
from pipeline.training.optim import OptimConfig
from pipeline.training.step import TrainStep
from tests.support import forks, inference, tiny, train_tiny
from tests.support.tiny import fit

pytestmark = pytest.mark.slow  # each test trains, some in processes of their own

TRIALS = [*range(3), *(pytest.param(trial, marks=pytest.mark.nightly) for trial in range(3, 20))]
"""Seeds of the random moments of death."""


def weights(folder: Path) -> bytes:
    return (folder / FILE).read_bytes()


def test_colours_are_learnt(tmp_path):
    _, progress = fit(tmp_path, "out", tiny.model(epochs=12))
    assert progress.history[-1]["loss"] < 0.7 * progress.history[0]["loss"]
    assert progress.history[progress.best_epoch]["val_mAP"] > 90


def test_the_best_epoch_is_kept_and_its_weights_give_its_score(tmp_path):
    out, progress = fit(tmp_path, "out", tiny.model(epochs=4, lr=0.2))
    scores = [row["val_mAP"] for row in progress.history]
    assert progress.best_epoch == int(np.argmax(scores))
    recipe = Checkpoint.read(out).recipe
    assert recipe["result"] == {"epoch": progress.best_epoch, "val_mAP": max(scores)}


def test_a_training_that_stops_without_val_has_the_weights_of_that_epoch_of_a_whole_one(tmp_path, monkeypatch):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb")
    alone = manifest.split("train")
    stopped, on = tmp_path / "stopped", tiny.machine(tmp_path / "work")
    progress = trainer.fit(tiny.model(epochs=4), alone, store, statistics, stopped, on, stop=2)

    def second_is_best(training, state):
        return {"val_mAP": float(len(state.history) == 1)}, torch.zeros(training.val_split.targets().shape)

    monkeypatch.setattr(trainer.Trainer, "validate", second_is_best)
    whole, all_epochs = fit(tmp_path, "whole", tiny.model(epochs=4))

    assert [(row["loss"], row["lr"]) for row in progress.history] == [
        (row["loss"], row["lr"]) for row in all_epochs.history[:2]
    ]
    ours, theirs = load_file(stopped / FILE), load_file(whole / FILE)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    recipe = Checkpoint.read(stopped).recipe
    assert (recipe["stop"], recipe["result"]) == (2, {"epoch": 1})
    assert "stop" not in Checkpoint.read(whole).recipe
    assert not (stopped / "curves/plots/metrics/val").exists()


def test_the_recipe_says_all_that_made_the_weights(tmp_path):
    out, _ = fit(tmp_path, "out", tiny.model(epochs=1))
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["arch"] == "tsn"
    assert recipe["train"]["optim"]["lr"] == 0.05
    assert recipe["machines"] == [
        {
            "device": "cpu",
            "devices": 1,
            "threads": 1,
            "precision": "32",
            "tf32": False,
            "clips_per_device": None,
            "channels_last": False,
            "compile": False,
        }
    ]
    assert set(recipe["data"]) == {"frames", "labels", "statistics"}
    assert recipe["versions"]["torch"] == torch.__version__


def test_a_small_corpus_is_trained_for_the_least_number_of_steps(tmp_path):
    out, progress = fit(tmp_path, "out", tiny.model(epochs=1, least_steps=5))
    recipe = json.loads((out / "recipe.json").read_text())["train"]
    steps = len(tiny.corpus(tmp_path / "lmdb")[0].split("train")) // recipe["batch"]
    assert len(progress.history) == recipe["epochs"] == -(-5 // steps) > 1
    assert "least_steps" not in recipe
    assert progress.history[-1]["lr"] < progress.history[0]["lr"]  # the schedule spans them


def test_the_end_of_a_training_says_what_it_is_worth(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        _, progress = fit(tmp_path, "out", tiny.model(epochs=5, lr=1e-7))
    figure = progress.history[progress.best_epoch]["val_mAP"]
    said = [line for line in caplog.messages if line.startswith("The model ")]
    assert len(said) == 1
    assert f"on the centre clips of val (sample mAP {figure:.1f}; chance " in said[0]
    assert "The best epoch was picked on these same val videos." in caplog.messages
    assert any(line.startswith("The loss has been flat since epoch 2") for line in caplog.messages)
    assert any(line.startswith("trained 5 epochs: ") for line in caplog.messages)


@pytest.mark.parametrize(("asked", "recorded"), [("auto", True), ((("red", "blue"),), [["red", "blue"]])])
def test_the_recipe_says_what_came_of_the_setting_for_flips(tmp_path, asked, recorded):
    augment = AugmentConfig("random_side", 32, sides=(32, 40), flip=asked)
    out, _ = fit(tmp_path, "out", tiny.model(epochs=1, augment=augment))
    assert json.loads((out / "recipe.json").read_text())["train"]["augment"]["flip"] == recorded


def test_the_curves_have_one_row_an_epoch(tmp_path):
    out, progress = fit(tmp_path, "out")
    curve = pd.read_csv(out / "curves" / "plots" / "metrics" / "val" / "mAP.tsv", sep="\t")
    assert curve["step"].tolist() == [1, 2, 3]
    assert curve["mAP"].tolist() == pytest.approx([row["val_mAP"] for row in progress.history])


def test_what_is_told_of_train_videos_changes_no_weight_and_no_recipe(tmp_path):
    told, with_them = fit(tmp_path, "told", tiny.model(epochs=2, ema=0.9))
    silent, without = fit(tmp_path, "silent", tiny.model(epochs=2, ema=0.9, train_sample=0))
    assert {"train_mAP"} == set(with_them.history[0]) - set(without.history[0])
    for name in (FILE, "recipe.json"):
        assert (told / name).read_bytes() == (silent / name).read_bytes()


def test_the_sample_of_train_is_the_same_in_every_epoch_and_scored_as_val_is(tmp_path, monkeypatch):
    seen = []
    original = evaluate.evaluate

    def watched(network, spec, batches, targets, *others):
        found, logits = original(network, spec, batches, targets, *others)
        seen.append((others[-1], batches.dataset.videos, found, 100 * ranking(targets, logits.numpy())))
        return found, logits

    monkeypatch.setattr(evaluate, "evaluate", watched)
    fit(tmp_path, "out", tiny.model(epochs=2, train_sample=2))
    assert [split for split, *_ in seen] == ["train", "val"] * 2
    assert seen[0][1] == seen[2][1]
    assert len(seen[0][1]) == 2
    for split, _, found, score in seen:
        assert found == {f"{split}_mAP": pytest.approx(score)}


def test_how_fast_it_goes_lies_apart_from_the_results(tmp_path):
    out, progress = fit(tmp_path, "out")
    table = pd.read_csv(tmp_path / "out-work/logs/speed.csv")
    assert table["model"].tolist() == [out.as_posix()] * 3
    assert table["epoch"].tolist() == [1, 2, 3]
    assert (table["clips_per_second"] > 0).all()
    assert table["data_wait_percent"].between(0, 100).all()
    assert not any("second" in name or "wait" in name for row in progress.history for name in row)


def test_the_number_of_workers_changes_no_byte(tmp_path):
    one, _ = fit(tmp_path, "one", workers=1)
    three, _ = fit(tmp_path, "three", workers=3)
    assert weights(one) == weights(three)


def test_the_resume_state_is_gone_when_training_ends(tmp_path):
    fit(tmp_path, "out")
    assert list((tmp_path / "out-work" / "train").iterdir()) == []


def test_the_progress_bar_is_not_drawn_at_every_step(tmp_path, monkeypatch):
    drawn = tiny.bars_drawn(monkeypatch, trainer)
    fit(tmp_path, "out", tiny.model(epochs=1, batch=1))
    assert 0 < len(drawn) < 8, "there are 8 steps"


class Killed(Exception):
    pass


def killed_at(number: int, tmp_path: Path, name: str, monkeypatch, config=None, **machine) -> None:
    """Train until before step `number`."""
    original = TrainStep.__call__

    def stops(self, pieces, lr, step, stop):
        if step == number:
            raise Killed
        return original(self, pieces, lr, step, stop)

    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "__call__", stops)
        with pytest.raises(Killed):
            fit(tmp_path, name, config, **machine)


@pytest.mark.parametrize("at", [1, 3, 4, 5])  # in the first epoch; in, at the end of, and right after the second
def test_a_run_that_stops_at_any_step_ends_with_the_same_bytes(tmp_path, monkeypatch, at):
    whole, _ = fit(tmp_path, "whole")
    original = TrainStep.__call__

    killed_at(at, tmp_path, "resumed", monkeypatch, save_seconds=0)
    resumed_at = []
    monkeypatch.setattr(TrainStep, "__call__", lambda s, p, lr, n, q: resumed_at.append(n) or original(s, p, lr, n, q))
    resumed, _ = fit(tmp_path, "resumed", save_seconds=0)
    assert resumed_at[0] == at, "it went on at the step that was not taken"
    assert weights(resumed) == weights(whole)
    assert (resumed / "curves" / "metrics.json").read_bytes() == (whole / "curves" / "metrics.json").read_bytes()


def test_the_end_of_a_resumed_training_counts_the_epochs_of_this_run(tmp_path, monkeypatch, caplog):
    config = tiny.model(epochs=2)
    killed_at(3, tmp_path, "resumed", monkeypatch, config, save_seconds=0)
    with caplog.at_level(logging.INFO):
        fit(tmp_path, "resumed", config, save_seconds=0)
    assert any(line.startswith("trained 1 epoch in this run: ") for line in caplog.messages)


def test_a_run_that_stops_while_it_validates_validates_again(tmp_path, monkeypatch):
    whole, _ = fit(tmp_path, "whole")
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "validate", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "resumed", save_seconds=0)
    resumed, _ = fit(tmp_path, "resumed")
    assert weights(resumed) == weights(whole)


LONG = {"model": {"epochs": 12}, "machine": {"save_seconds": 0}}


def start(tmp_path: Path, name: str, settings: dict) -> ForkServerProcess:
    """Training in a process of its own."""
    tiny.corpus(tmp_path / "lmdb")
    return forks.start(train_tiny.main, tmp_path, name, settings)


def wait_until_it_trains(tmp_path: Path, name: str, process: ForkServerProcess) -> None:
    while not list((tmp_path / f"{name}-work" / "train").glob(f"{name}-*/state.pt")):
        assert process.is_alive(), "it ended before it could be stopped"
        time.sleep(0.002)


def status(process: ForkServerProcess) -> int | None:
    """How it has ended; None where it has not, a minute later."""
    process.join(60)
    return process.exitcode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert status(start(folder, "whole", LONG)) == 0
    return weights(folder / "whole")


@pytest.mark.parametrize("trial", TRIALS)
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path, uninterrupted, trial):
    """SIGKILL, SIGTERM and SIGINT in turn, each a random while after training has begun, with other worker counts."""
    rng = np.random.default_rng(trial)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = start(tmp_path, "out", LONG | {"machine": {"save_seconds": 0, "workers": int(rng.integers(1, 4))}})
        wait_until_it_trains(tmp_path, "out", process)
        time.sleep(rng.uniform(0, 0.35))
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, number)
        assert status(process) is not None
    assert status(start(tmp_path, "out", LONG)) == 0
    assert weights(tmp_path / "out") == uninterrupted
    assert not list((tmp_path / "out-work" / "train").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_stops_at_the_next_step_with_all_work_saved(tmp_path, number):
    settings = {"model": {"epochs": 10000}, "machine": {"save_seconds": 9999}}
    process = start(tmp_path, "out", settings)
    wait_until_it_trains(tmp_path, "out", process)
    time.sleep(1)
    os.kill(process.pid, number)
    assert status(process) == 128 + number
    (state,) = (tmp_path / "out-work").rglob("state.pt")
    progress = torch.load(state, weights_only=True)["state"]
    assert progress["step"] > 0
    assert len(progress["steps"]["loss"]) == progress["step"] - 2 * len(progress["history"])


def test_the_first_signal_asks_and_the_next_one_ends_at_once():
    before = signal.getsignal(signal.SIGINT)
    with signals.listen() as request:
        signal.raise_signal(signal.SIGINT)
        assert request.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def stopped_early(tmp_path: Path, monkeypatch) -> Path:
    """The resume state of a run that stopped after its first epoch."""
    killed_at(2, tmp_path, "out", monkeypatch, save_seconds=0)
    (folder,) = (tmp_path / "out-work" / "train").iterdir()
    return folder


@pytest.mark.parametrize("name", ["state.pt", "best.pt"])
def test_a_lost_resume_state_is_an_error_and_never_a_silent_restart(tmp_path, monkeypatch, name):
    (stopped_early(tmp_path, monkeypatch) / name).unlink()
    with pytest.raises(UserError, match=f"{name} cannot be read .* Put it back, or delete .* to start from the first"):
        fit(tmp_path, "out")


def test_a_full_disk_is_an_error_that_keeps_the_last_state(tmp_path, monkeypatch):
    state = stopped_early(tmp_path, monkeypatch) / "state.pt"
    before = state.read_bytes()

    def full(tensors, path):
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(UserError, match=r"cannot be written .*No space left.* What was saved before is intact"):
            fit(tmp_path, "out", save_seconds=0)
    assert state.read_bytes() == before
    assert [path.name for path in state.parent.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("optimiser", ["adamw", "lamb", "madgrad", "adafactorbv"])
def test_any_optimiser_resumes_to_the_same_bytes(tmp_path, monkeypatch, optimiser):
    config = tiny.model(optim=OptimConfig(0.001, 0.01, None, name=optimiser))
    whole, _ = fit(tmp_path, "whole", config)
    killed_at(3, tmp_path, "out", monkeypatch, config, save_seconds=0)
    resumed, _ = fit(tmp_path, "out", config)
    assert weights(resumed) == weights(whole)


def test_the_average_of_the_weights_is_validated_kept_and_resumed(tmp_path, monkeypatch):
    config = tiny.model(ema=0.9)
    whole, _ = fit(tmp_path, "whole", config)
    plain, _ = fit(tmp_path, "plain")
    assert (load_file(whole / FILE)["classifier.weight"] != load_file(plain / FILE)["classifier.weight"]).any()
    original = trainer.Trainer.validate

    def stops(self, state, seen=[]):  # noqa: B006 - counts the calls
        seen.append(1)
        if len(seen) == 2:
            raise Killed
        return original(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "validate", stops)
        with pytest.raises(Killed):
            fit(tmp_path, "out", config)
    resumed, _ = fit(tmp_path, "out", config)
    assert weights(resumed) == weights(whole)


def test_mixed_clips_train_to_other_weights(tmp_path):
    plain, _ = fit(tmp_path, "plain", tiny.model(epochs=1))
    for mix in (MixConfig(mixup=0.8), MixConfig(cutmix=1.0)):
        out, progress = fit(tmp_path, "mixed", tiny.model(epochs=1, mix=mix))
        assert np.isfinite(progress.history[0]["loss"])
        assert weights(out) != weights(plain)


def test_mixing_is_refused_where_a_pass_has_one_clip(tmp_path):
    with pytest.raises(UserError, match=r"train.mix blends clips of one pass.*clips_per_device"):
        fit(tmp_path, "out", tiny.model(mix=MixConfig(mixup=0.8)), clips_per_device=1)


def test_a_damaged_resume_state_is_an_error_that_names_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "validate", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "out", save_seconds=0)
    (state,) = (tmp_path / "out-work").rglob("state.pt")
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match="state.pt cannot be read .* delete .* to start from the first step"):
        fit(tmp_path, "out")


def test_weights_of_an_earlier_run_do_not_lie_beside_new_curves(tmp_path, monkeypatch):
    out, _ = fit(tmp_path, "out")
    monkeypatch.setattr(trainer.Trainer, "validate", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        fit(tmp_path, "out", tiny.model(lr=0.01))
    assert not (out / FILE).exists()


def test_another_setting_never_resumes_an_old_state(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "validate", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "out", tiny.model(lr=0.05))
    _, progress = fit(tmp_path, "out", tiny.model(lr=0.01))
    assert progress.step == 3 * 2
    assert len(progress.history) == 3


def test_another_code_never_resumes_an_old_state(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    state = stopped_early(tmp_path, monkeypatch)
    monkeypatch.setattr(fingerprint, "code", lambda *names: {"training/step.py": "another"})
    _, progress = fit(tmp_path, "out")
    assert progress.step == 3 * 2
    assert "resuming" not in caplog.text
    assert f"{state} holds an unfinished training" in caplog.text


def test_a_batch_larger_than_the_corpus_is_refused(tmp_path):
    with pytest.raises(UserError, match="A batch of 99 is more than the 8 train videos"):
        fit(tmp_path, "out", tiny.model(batch=99))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (LossConfig("bse", {}), "'bse'.*Did you mean 'bce'"),
        (LossConfig("bce", {"bce": {"scal": 160.0}}), r"train\.loss\.options\.bce\.scal: .*Did you mean 'scale'"),
    ],
)
def test_a_misspelt_loss_is_refused_before_work(tmp_path, loss, message):
    with pytest.raises(UserError, match=message):
        fit(tmp_path, "out", tiny.model(loss=loss))


def test_a_misspelt_model_option_is_refused_before_work():
    config = tiny.model()
    with pytest.raises(UserError, match=r"options\.framez: .*Did you mean 'frames'"):
        trainer.ModelConfig("tsn", {"framez": 8}, config.clip, config.train).build(3)


@pytest.mark.parametrize("name", ["lsep", "wlsep", "warp"])
def test_a_ranking_loss_refuses_blended_labels_before_work(tmp_path, name):
    with pytest.raises(UserError, match=f"'{name}' ranks classes.*Switch off train.mix"):
        fit(tmp_path, "out", tiny.model(loss=LossConfig(name, {}), mix=MixConfig(mixup=0.8)))


@pytest.mark.parametrize("name", sorted({*registry.names("losses")} - {"auto", "cross_entropy"}))
def test_every_loss_learns_the_colours(tmp_path, name):
    scale = {"bce": 10.0, "asymmetric": 40.0}.get(name, 3.0)
    _, progress = fit(tmp_path, "out", tiny.model(epochs=12, loss=LossConfig(name, {name: {"scale": scale}})))
    assert progress.history[progress.best_epoch]["val_mAP"] > 90


def test_training_starts_from_a_checkpoint_whose_hash_is_in_the_recipe(tmp_path):
    first, _ = fit(tmp_path, "first")
    file = first / FILE
    config = tiny.model(epochs=1, lr=1e-9, pretrained=str(file))
    out, _ = fit(tmp_path, "second", config)
    for name, tensor in load_file(file).items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(load_file(out / FILE)[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    assert Checkpoint.read(out).recipe["pretrained"] == {
        "source": "ours",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_training_starts_from_the_imagenet_weights_that_were_fetched(tmp_path):
    imagenet.fetch(["tf_efficientnet_lite0"], tmp_path / "weights")
    config = tiny.model(epochs=1, lr=1e-9, pretrained="imagenet")
    config.options.update(backbone="tf_efficientnet_lite0", backbone_options=None)
    out, _ = fit(tmp_path, "out", config.starting_in(tmp_path / "weights"))
    file = imagenet.file_of("tf_efficientnet_lite0", tmp_path / "weights")
    trained = Checkpoint.read(out)
    assert trained.recipe["pretrained"] == {
        "source": "efficientnet_lite",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert trained.input.std == (128 / 255,) * 3
    torch.testing.assert_close(trained.weights["backbone.conv_stem.weight"], load_file(file)["_conv_stem.weight"])


def test_a_network_of_differences_is_trained_from_one_of_colours(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    colours, _ = fit(tmp_path, "colours", tiny.model(epochs=1))
    config = tiny.model(epochs=2, pretrained=str(colours / FILE))
    config.options["input"] = "rgb_difference"
    config = replace(config, clip=replace(config.clip, sampler=SamplerConfig("segments", 2, consecutive=6)))

    out, _ = fit(tmp_path, "out", config)

    assert "first layer backbone.conv1.0.weight: its mean over red, green and blue" in caplog.text
    trained, recipe = Checkpoint.read(out), json.loads((out / "recipe.json").read_text())
    assert trained.weights["backbone.conv1.0.weight"].shape[1] == 15
    assert (trained.input.mean, trained.input.std) == ((0, 0, 0), (1, 1, 1))
    assert recipe["options"]["input"] == "rgb_difference"
    assert recipe["clip"]["sampler"] == {"kind": "segments", "frames": 2, "stride": None, "consecutive": 6}
    assert "consecutive" not in json.loads((colours / "recipe.json").read_text())["clip"]["sampler"]
    tested = Predictor(out, inference.VIEWS, distributed.launch(on := tiny.machine(tmp_path)), on)
    store = tiny.corpus(tmp_path / "lmdb")[1]
    (views,) = MultiViewDataset(["val0"], store, tested.clip.sampler, tested.grid)[0].values()
    assert views.shape == (len(tested.grid), 3, 2 * 6, 32, 32)
    with torch.inference_mode():
        expected = tested.network(views / 255).numpy()
    np.testing.assert_allclose(inference.scores_of(tested, store, "val0"), expected, atol=2e-3)


def test_a_start_that_is_no_word_stays_as_it_is(tmp_path):
    for pretrained in (None, "start.pth"):
        config = tiny.model(pretrained=pretrained)
        assert config.starting_in(tmp_path) is config


def test_a_checkpoint_that_does_not_fit_stops_before_work(tmp_path):
    first, _ = fit(tmp_path, "first", tiny.model(epochs=1))
    config = tiny.model(pretrained=str(first / FILE))
    config.options["backbone_options"] = {"stem_width": 4, "channels": [8, 8, 8, 16]}
    with pytest.raises(UserError, match="does not fit the model"):
        fit(tmp_path, "second", config)


def test_a_corpus_without_val_videos_is_refused_before_work(tmp_path):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=1)  # the last of val is broken
    with pytest.raises(UserError, match="No val video with frames: "):
        trainer.fit(tiny.model(), manifest, store, statistics, tmp_path / "out", tiny.machine(tmp_path / "work"))


def test_an_unfinished_training_with_other_settings_is_named(tmp_path, monkeypatch, caplog):
    killed_at(2, tmp_path, "out", monkeypatch, save_seconds=0)
    with caplog.at_level(logging.INFO):
        fit(tmp_path, "out", tiny.model(lr=0.01))
    assert "holds an unfinished training of this model with other settings" in caplog.text


def test_a_kill_while_the_state_is_deleted_leaves_no_damaged_state(tmp_path, monkeypatch):
    original = files.remove

    def dies(path: Path) -> None:
        if path.is_dir():
            raise Killed
        original(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", dies)
        with pytest.raises(Killed):
            fit(tmp_path, "out", tiny.model(epochs=1))
    _, progress = fit(tmp_path, "out", tiny.model(epochs=1))
    assert progress.step == 2


def test_an_optimiser_that_needs_second_derivatives_is_refused_before_work(tmp_path):
    with pytest.raises(UserError, match="second derivatives"):
        fit(tmp_path, "out", tiny.model(optim=OptimConfig(0.001, 0.01, None, name="adahessian")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_job_reaches_loader_workers_and_costs_nothing(tmp_path, number):
    """As a terminal and a scheduler send it: to every process of the group."""
    settings = {"model": {"epochs": 10000}, "machine": {"save_seconds": 9999, "workers": 2}}
    process = start(tmp_path, "out", settings)
    wait_until_it_trains(tmp_path, "out", process)
    time.sleep(1)
    os.killpg(process.pid, number)
    assert status(process) == 128 + number
    (state,) = (tmp_path / "out-work").rglob("state.pt")
    progress = torch.load(state, weights_only=True)["state"]
    assert progress["step"] == 2 * len(progress["history"]) + len(progress["steps"]["loss"]) > 0


def test_where_each_video_has_one_label_cross_entropy_trains_and_top_1_picks_the_epoch(tmp_path):
    out, done = tiny.fit_one_label(
        tmp_path, "out", tiny.model(epochs=12, loss=LossConfig("auto", {"cross_entropy": {"scale": 3.0}}))
    )

    of_split = [f"{split}_{name}" for split in ("train", "val") for name in ("top1", "cross_entropy")]
    assert list(done.history[0]) == ["loss", "gradient_norm", *of_split, "lr"]
    ranked = [(row["val_top1"], -row["val_cross_entropy"]) for row in done.history]
    assert ranked[done.best_epoch] == max(ranked)
    assert done.history[done.best_epoch]["val_top1"] == 100
    recipe = Checkpoint.read(out).recipe
    assert (recipe["task"], recipe["train"]["loss"]["name"]) == ("single_label", "cross_entropy")
    assert recipe["result"] == {"epoch": done.best_epoch, "val_top1": 100.0}
    assert (out / "curves/plots/metrics/val/top1.tsv").is_file() or (
        out / "curves/plots/metrics/val_top1.tsv"
    ).is_file()


def test_a_loss_of_another_task_ends_before_training(tmp_path):
    with pytest.raises(UserError, match=r"^train.loss.name: the loss 'bce' is for multi_label, .*Take 'cross_entropy'"):
        tiny.fit_one_label(tmp_path, "out", tiny.model(loss=LossConfig("bce")))
    assert not (tmp_path / "out").exists()


def test_auto_leaves_the_recipe_and_the_weights_as_the_explicit_loss_makes_them(tmp_path):
    options = {"bce": {"scale": 10.0}, "asymmetric": {"gamma_neg": 2.0}}
    explicit, _ = fit(tmp_path, "explicit", tiny.model(epochs=1, loss=LossConfig("bce", options)))
    more = {"cross_entropy": {"scale": 2.0}, **options}
    by_task, _ = fit(tmp_path, "auto", tiny.model(epochs=1, loss=LossConfig("auto", more)))

    for name in ("recipe.json", "model.safetensors"):
        assert (explicit / name).read_bytes() == (by_task / name).read_bytes()
    assert "task" not in Checkpoint.read(explicit).recipe


@pytest.mark.parametrize("where", ["forward", "validation"])
def test_too_little_memory_names_the_settings_that_take_less(tmp_path, monkeypatch, where):
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    if where == "forward":
        monkeypatch.setattr(TrainStep, "_loss_of", full)
    else:
        monkeypatch.setattr(evaluate, "evaluate", full)
    message = "A pass of 2 clips of 2 frames of 32 x 32 .*machine.clips_per_device below 2.*train.batch.*9 GiB"
    with pytest.raises(UserError, match=message):
        fit(tmp_path, "out", tiny.model(epochs=1), clips_per_device=2)
