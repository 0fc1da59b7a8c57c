import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from safetensors.torch import load_file

from pipeline import optim, sampling, training, transforms
from pipeline.checkpoint import FILE, Checkpoint
from pipeline.clips import generator, read_frames
from pipeline.errors import BadInput
from pipeline.recipe import LossConfig


def weights(folder: Path) -> bytes:
    return (folder / FILE).read_bytes()


def fit(tmp_path: Path, name: str, config=None, **machine):
    out = tmp_path / name
    progress = training.fit(
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
    assert recipe["threads"] == 1
    assert set(recipe["data"]) == {"frames", "labels"}
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


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 4, 5])  # in the first epoch; in, at the end of, and right after the second
def test_a_run_that_stops_at_any_step_ends_with_the_same_bytes(tmp_path, monkeypatch, at):
    whole, _ = fit(tmp_path, "whole")
    original = training._Run.step

    def stops(self, clip, targets, lr, step):
        if step == at:
            raise Stopped
        return original(self, clip, targets, lr, step)

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "step", stops)
        with pytest.raises(Stopped):
            fit(tmp_path, "resumed", save_seconds=0)
    resumed_at = []
    monkeypatch.setattr(training._Run, "step", lambda s, c, t, lr, n: resumed_at.append(n) or original(s, c, t, lr, n))
    resumed, _ = fit(tmp_path, "resumed", save_seconds=0)
    assert resumed_at[0] == at, "it went on at the step that was not taken"
    assert weights(resumed) == weights(whole)
    assert (resumed / "curves" / "metrics.json").read_bytes() == (whole / "curves" / "metrics.json").read_bytes()


def test_a_run_that_stops_while_it_validates_validates_again(tmp_path, monkeypatch):
    whole, _ = fit(tmp_path, "whole")
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "validate", lambda self: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            fit(tmp_path, "resumed", save_seconds=0)
    resumed, _ = fit(tmp_path, "resumed")
    assert weights(resumed) == weights(whole)


@pytest.mark.slow
def test_a_killed_process_goes_on_where_it_was(tmp_path):
    """SIGKILL after the first saved state, from outside, then a second process."""
    whole, _ = fit(tmp_path, "whole", tiny.model(epochs=6))
    script = (
        "import sys, pathlib; sys.path[:0] = [sys.argv[2], sys.argv[3]]\n"
        "import tiny; from pipeline import training\n"
        "p = pathlib.Path(sys.argv[1])\n"
        "training.fit(tiny.model(epochs=6), *tiny.corpus(p / 'lmdb'), p / 'killed',"
        " tiny.machine(p / 'killed-work', save_seconds=0))\n"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(tmp_path), str(here.parent), str(here)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "killed-work").rglob("state.safetensors")):
        assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / FILE).exists()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert weights(tmp_path / "killed") == weights(whole)


def test_a_damaged_resume_state_is_an_error_that_names_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "validate", lambda self: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            fit(tmp_path, "out", save_seconds=0)
    (state,) = (tmp_path / "out-work").rglob("state.safetensors")
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(BadInput, match="state.safetensors cannot be read .* Delete .* to start from the first step"):
        fit(tmp_path, "out")


def test_weights_of_an_earlier_run_do_not_lie_beside_new_curves(tmp_path, monkeypatch):
    out, _ = fit(tmp_path, "out")
    monkeypatch.setattr(training._Run, "validate", lambda self: (_ for _ in ()).throw(Stopped))
    with pytest.raises(Stopped):
        fit(tmp_path, "out", tiny.model(lr=0.01))
    assert not (out / FILE).exists()


def test_another_setting_never_resumes_an_old_state(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "validate", lambda self: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            fit(tmp_path, "out", tiny.model(lr=0.05))
    _, progress = fit(tmp_path, "out", tiny.model(lr=0.01))
    assert progress.step == 3 * 2
    assert len(progress.history) == 3


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_best_weights(tmp_path, monkeypatch):
    original = training._Run.step

    def explodes(self, clip, targets, lr, step):
        return original(self, clip, targets * (float("nan") if step == 3 else 1), lr, step)

    monkeypatch.setattr(training._Run, "step", explodes)
    with pytest.raises(BadInput, match=r"The loss is nan at step 3 \(epoch 2\).*Lower train.optim.lr"):
        fit(tmp_path, "out")
    (best,) = (tmp_path / "out-work").rglob("best.safetensors")
    assert all(torch.isfinite(t).all() for t in load_file(best).values())
    assert not (tmp_path / "out" / FILE).exists()


def test_a_batch_larger_than_the_corpus_is_refused(tmp_path):
    with pytest.raises(BadInput, match="A batch of 99 is more than the 8 train videos"):
        fit(tmp_path, "out", tiny.model(batch=99))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (LossConfig("bse", {}), "'bse'.*Did you mean 'bce'"),
        (LossConfig("bce", {"scal": 160.0}), "'scal'.*Did you mean 'scale'"),
    ],
)
def test_a_misspelt_loss_is_refused_before_work(tmp_path, loss, message):
    with pytest.raises(BadInput, match=message):
        fit(tmp_path, "out", tiny.model(loss=loss))


def test_a_misspelt_model_option_is_refused_before_work():
    config = tiny.model()
    with pytest.raises(BadInput, match="'framez'.*Did you mean 'frames'"):
        training.ModelConfig("tsn", {"framez": 8}, config.clip, config.train).build(3)
