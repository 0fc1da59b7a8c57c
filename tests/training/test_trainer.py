import dataclasses
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pipeline.clips import sampling, transforms
from pipeline.clips.dataset import generator, read_frames
from pipeline.core import files, registry
from pipeline.core.errors import UserError
from pipeline.runtime import fingerprint, signals
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.training import optim, resume, trainer
from pipeline.training.config import LossConfig
from pipeline.training.mixup import MixConfig
from pipeline.training.optim import OptimConfig
from tests.support import tiny

NIGHTLY = int(os.environ.get("NIGHTLY", "0"))
"""How many random trials `make nightly` runs; `make test` runs three."""


def weights(folder: Path) -> bytes:
    return (folder / FILE).read_bytes()


def fit(tmp_path: Path, name: str, config=None, **machine):
    out = tmp_path / name
    progress = trainer.fit(
        config or tiny.model(), *tiny.corpus(tmp_path / "lmdb"), out, tiny.machine(tmp_path / f"{name}-work", **machine)
    )
    return out, progress


def test_the_first_steps_are_those_of_a_plain_loop(tmp_path):
    """No Fabric, no DataLoader, no resume: PyTorch written out, from the same seeds."""
    config = tiny.model(epochs=1)
    _, progress = fit(tmp_path, "ours", config)
    manifest, store, _ = tiny.corpus(tmp_path / "lmdb")

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, spec = config.build(3)
    sgd = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
    train = manifest.split("train")
    order = np.random.default_rng([0, 0]).permutation(len(train))
    losses = []
    for step in range(2):  # 8 videos, 3 a batch
        clips = []
        for position in order[3 * step : 3 * step + 3]:
            video = train.videos[position]
            rng = generator(0, 0, video)
            indices = sampling.training_clip(config.clip.sampler, tiny.FRAMES, rng)
            clips.append(transforms.training_crop(read_frames(store, video, indices, 40), config.train.augment, rng))
        pixels = torch.stack(clips).float() / 255
        mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (spec.mean, spec.std))
        torch.manual_seed(step)
        logits = model((pixels - mean) / std)
        targets = torch.from_numpy(train.targets()[order[3 * step : 3 * step + 3]]).float()
        loss = 10 * torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        losses.append(loss.item())
        for group in sgd.param_groups:
            group["lr"] = optim.learning_rate(0.05, config.train.schedule, step, 2, 1)
        sgd.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        sgd.step()

    assert progress.history[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    saved = load_file(tmp_path / "ours" / FILE)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(saved[name], tensor, rtol=1e-6, atol=1e-7)


def test_colours_are_learnt(tmp_path):
    _, progress = fit(tmp_path, "out", tiny.model(epochs=12))
    assert progress.history[-1]["loss"] < 0.7 * progress.history[0]["loss"]
    assert progress.best_map > 90


def test_the_best_epoch_is_kept_and_its_weights_give_its_score(tmp_path):
    out, progress = fit(tmp_path, "out", tiny.model(epochs=4, lr=0.2))
    scores = [row["val_mAP"] for row in progress.history]
    assert progress.best_epoch == int(np.argmax(scores))
    recipe = Checkpoint.read(out).recipe
    assert recipe["result"] == {"epoch": progress.best_epoch, "val_mAP": max(scores)}


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


def test_the_curves_have_one_row_an_epoch(tmp_path):
    out, progress = fit(tmp_path, "out")
    curve = pd.read_csv(out / "curves" / "plots" / "metrics" / "val" / "mAP.tsv", sep="\t")
    assert curve["step"].tolist() == [1, 2, 3]
    assert curve["mAP"].tolist() == pytest.approx([row["val_mAP"] for row in progress.history])


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
    original = trainer._Run.step

    def stops(self, pieces, lr, step, stop):
        if step == number:
            raise Killed
        return original(self, pieces, lr, step, stop)

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "step", stops)
        with pytest.raises(Killed):
            fit(tmp_path, name, config, **machine)


@pytest.mark.parametrize("at", [1, 3, 4, 5])  # in the first epoch; in, at the end of, and right after the second
def test_a_run_that_stops_at_any_step_ends_with_the_same_bytes(tmp_path, monkeypatch, at):
    whole, _ = fit(tmp_path, "whole")
    original = trainer._Run.step

    killed_at(at, tmp_path, "resumed", monkeypatch, save_seconds=0)
    resumed_at = []
    monkeypatch.setattr(trainer._Run, "step", lambda s, p, lr, n, q: resumed_at.append(n) or original(s, p, lr, n, q))
    resumed, _ = fit(tmp_path, "resumed", save_seconds=0)
    assert resumed_at[0] == at, "it went on at the step that was not taken"
    assert weights(resumed) == weights(whole)
    assert (resumed / "curves" / "metrics.json").read_bytes() == (whole / "curves" / "metrics.json").read_bytes()


def test_a_run_that_stops_while_it_validates_validates_again(tmp_path, monkeypatch):
    whole, _ = fit(tmp_path, "whole")
    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "validate", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "resumed", save_seconds=0)
    resumed, _ = fit(tmp_path, "resumed")
    assert weights(resumed) == weights(whole)


LONG = {"model": {"epochs": 12}, "machine": {"save_seconds": 0}}


def start(tmp_path: Path, name: str, settings: dict, **options: bool) -> subprocess.Popen:
    """Training in a process of its own."""
    tiny.corpus(tmp_path / "lmdb")
    script = Path(__file__).parents[1] / "support" / "train_tiny.py"
    command = [sys.executable, str(script), str(tmp_path), name, json.dumps(settings)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)


def wait_until_it_trains(tmp_path: Path, name: str, process: subprocess.Popen) -> None:
    while not list((tmp_path / f"{name}-work" / "train").glob(f"{name}-*/state.safetensors")):
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert start(folder, "whole", LONG).wait() == 0
    return weights(folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(NIGHTLY or 3))
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path, uninterrupted, trial):
    """SIGKILL, SIGTERM and SIGINT in turn, each a random while after training has begun, with other worker counts."""
    rng = np.random.default_rng(trial)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = start(tmp_path, "out", LONG | {"machine": {"save_seconds": 0, "workers": int(rng.integers(1, 4))}})
        wait_until_it_trains(tmp_path, "out", process)
        time.sleep(rng.uniform(0, 0.35))
        process.send_signal(number)
        process.wait()
    assert start(tmp_path, "out", LONG).wait() == 0
    assert weights(tmp_path / "out") == uninterrupted
    assert not list((tmp_path / "out-work" / "train").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_stops_at_the_next_step_with_all_work_saved(tmp_path, number):
    settings = {"model": {"epochs": 10000}, "machine": {"save_seconds": 9999}}
    process = start(tmp_path, "out", settings)
    wait_until_it_trains(tmp_path, "out", process)
    time.sleep(1)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    (state,) = (tmp_path / "out-work").rglob("state.safetensors")
    progress = json.loads(bytes(load_file(state)["progress"].tolist()))["progress"]
    assert progress["step"] > 0
    assert len(progress["losses"]) == progress["step"] - 2 * len(progress["history"])


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


@pytest.mark.parametrize("name", ["state.safetensors", "best.safetensors"])
def test_a_lost_resume_state_is_an_error_and_never_a_silent_restart(tmp_path, monkeypatch, name):
    (stopped_early(tmp_path, monkeypatch) / name).unlink()
    with pytest.raises(UserError, match=f"{name} cannot be read .* Put it back, or delete .* to start from the first"):
        fit(tmp_path, "out")


def test_a_full_disk_is_an_error_that_keeps_the_last_state(tmp_path, monkeypatch):
    state = stopped_early(tmp_path, monkeypatch) / "state.safetensors"
    before = state.read_bytes()

    def full(tensors, path):
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(resume, "save_file", full)
        with pytest.raises(UserError, match=r"cannot be written .*No space left.* What was saved before is intact"):
            fit(tmp_path, "out", save_seconds=0)
    assert state.read_bytes() == before
    assert [path.name for path in state.parent.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("optimiser", ["adamw", "lamb", "madgrad"])
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
    original = trainer._Run.validate

    def stops(self, seen=[]):  # noqa: B006 - counts the calls
        seen.append(1)
        if len(seen) == 2:
            raise Killed
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "validate", stops)
        with pytest.raises(Killed):
            fit(tmp_path, "out", config)
    resumed, _ = fit(tmp_path, "out", config)
    assert weights(resumed) == weights(whole)


def test_the_average_follows_its_formula(tmp_path, monkeypatch):
    seen = []
    original = trainer._Run._update

    def watched(self, step):
        original(self, step)
        seen.append((self.network.classifier.weight.detach().clone(), self.ema.module.classifier.weight.clone()))

    monkeypatch.setattr(trainer._Run, "_update", watched)
    fit(tmp_path, "out", tiny.model(epochs=1, ema=0.9))
    (_, first), (weight, second) = seen
    torch.testing.assert_close(second, 0.9 * first + 0.1 * weight)


@pytest.mark.parametrize("loss", registry.names("losses"))
def test_accumulated_pieces_have_the_gradient_of_the_whole_batch(tmp_path, loss):
    """With frozen batch norms, whose statistics would be those of a piece."""
    config = tiny.model(epochs=1, batch=4, loss=LossConfig(loss, {loss: {"scale": 3.0}}))
    for name, most in (("whole", None), ("pieces", 1), ("uneven", 3)):
        exact = dataclasses.replace(config, options=config.options | {"dropout": 0.0, "partial_bn": True})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.BatchNorm2d, "train", lambda self, mode=True: torch.nn.Module.train(self, False))
            fit(tmp_path, name, exact, clips_per_device=most)
    whole, pieces, uneven = (load_file(tmp_path / name / FILE) for name in ("whole", "pieces", "uneven"))
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
        torch.testing.assert_close(uneven[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("settings", [{"channels_last": True}, {"precision": "bf16"}])
def test_other_layouts_and_precisions_train_to_the_same_within_their_precision(tmp_path, monkeypatch, settings):
    config = tiny.model(epochs=2)
    _, plain = fit(tmp_path, "plain", config)
    seen = []
    original = torch.nn.Conv2d.forward

    def watched(self, x):
        y = original(self, x)
        seen.append((y.dtype, y.is_contiguous(memory_format=torch.channels_last)))
        return y

    monkeypatch.setattr(torch.nn.Conv2d, "forward", watched)
    _, other = fit(tmp_path, "other", config, **settings)
    assert {dtype for dtype, _ in seen} == {torch.bfloat16 if "precision" in settings else torch.float32}
    assert all(last for _, last in seen) == ("channels_last" in settings)
    rel = 0.05 if "precision" in settings else 1e-4
    assert other.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=rel)


def test_a_compiled_network_trains_to_the_same(tmp_path, monkeypatch):
    """The compiler's code generation, which takes a minute, is left out, and dropout, which draws its own numbers."""
    original = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network, **_: original(network, backend="aot_eager"))
    config = tiny.model(epochs=1)
    config.options["dropout"] = 0.0
    _, plain = fit(tmp_path, "plain", config)
    out, other = fit(tmp_path, "other", config, compile=True)
    assert other.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=1e-4)
    assert list(load_file(out / FILE)) == list(load_file(tmp_path / "plain" / FILE))


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
        patch.setattr(trainer._Run, "validate", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "out", save_seconds=0)
    (state,) = (tmp_path / "out-work").rglob("state.safetensors")
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match="state.safetensors cannot be read .* delete .* to start from the first step"):
        fit(tmp_path, "out")


def test_weights_of_an_earlier_run_do_not_lie_beside_new_curves(tmp_path, monkeypatch):
    out, _ = fit(tmp_path, "out")
    monkeypatch.setattr(trainer._Run, "validate", lambda self: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        fit(tmp_path, "out", tiny.model(lr=0.01))
    assert not (out / FILE).exists()


def test_another_setting_never_resumes_an_old_state(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "validate", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(tmp_path, "out", tiny.model(lr=0.05))
    _, progress = fit(tmp_path, "out", tiny.model(lr=0.01))
    assert progress.step == 3 * 2
    assert len(progress.history) == 3


def test_another_code_never_resumes_an_old_state(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    state = stopped_early(tmp_path, monkeypatch)
    monkeypatch.setattr(fingerprint, "files", lambda arch: {"training.py": "another"})
    _, progress = fit(tmp_path, "out")
    assert progress.step == 3 * 2
    assert "resuming" not in caplog.text
    assert f"{state} holds an unfinished training" in caplog.text


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_best_weights(tmp_path, monkeypatch):
    original = trainer._Run.step

    def explodes(self, pieces, lr, step, stop):
        factor = float("nan") if step == 3 else 1
        return original(self, tuple((clip, targets * factor) for clip, targets in pieces), lr, step, stop)

    monkeypatch.setattr(trainer._Run, "step", explodes)
    with pytest.raises(UserError, match=r"The loss is nan at step 3 \(epoch 2\).*Lower train.optim.lr"):
        fit(tmp_path, "out")
    (best,) = (tmp_path / "out-work").rglob("best.safetensors")
    assert all(torch.isfinite(t).all() for t in load_file(best).values())
    assert not (tmp_path / "out" / FILE).exists()


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


@pytest.mark.parametrize("name", registry.names("losses"))
def test_every_loss_learns_the_colours(tmp_path, name):
    scale = {"bce": 10.0, "asymmetric": 40.0}.get(name, 3.0)
    _, progress = fit(tmp_path, "out", tiny.model(epochs=12, loss=LossConfig(name, {name: {"scale": scale}})))
    assert progress.best_map > 90


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


def test_a_checkpoint_that_does_not_fit_stops_before_work(tmp_path):
    first, _ = fit(tmp_path, "first", tiny.model(epochs=1))
    config = tiny.model(pretrained=str(first / FILE))
    config.options["backbone_options"] = {"stem_width": 4, "channels": [8, 8, 8, 16]}
    with pytest.raises(UserError, match="does not fit the model"):
        fit(tmp_path, "second", config)


def test_a_corpus_without_val_videos_is_refused_before_work(tmp_path):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=1)  # the last of val is broken
    with pytest.raises(UserError, match="No val video gave frames"):
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


@pytest.mark.parametrize("name", ["adahessian", "adafactorbv"])
def test_an_optimiser_that_cannot_train_or_resume_is_refused_before_work(tmp_path, name):
    with pytest.raises(UserError, match=r"second derivatives|cannot be saved"):
        fit(tmp_path, "out", tiny.model(optim=OptimConfig(0.001, 0.01, None, name=name)))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_job_reaches_loader_workers_and_costs_nothing(tmp_path, number):
    """As a terminal and a scheduler send it: to every process of the group."""
    settings = {"model": {"epochs": 10000}, "machine": {"save_seconds": 9999, "workers": 2}}
    process = start(tmp_path, "out", settings, start_new_session=True)
    wait_until_it_trains(tmp_path, "out", process)
    time.sleep(1)
    os.killpg(process.pid, number)
    assert process.wait(timeout=60) == 128 + number
    (state,) = (tmp_path / "out-work").rglob("state.safetensors")
    progress = json.loads(bytes(load_file(state)["progress"].tolist()))["progress"]
    assert progress["step"] == 2 * len(progress["history"]) + len(progress["losses"]) > 0
