"""One update of the weights against PyTorch written out, and what changes it: pieces, averages, layouts, precision."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.clips import sampling, transforms
from pipeline.clips.dataset import generator
from pipeline.clips.frame_source import read_frames
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.runtime.checkpoint import FILE
from pipeline.training import optim
from pipeline.training.config import LossConfig
from pipeline.training.optim import OptimConfig
from pipeline.training.step import Outcome, TrainStep
from tests.support import tiny
from tests.support.tiny import fit


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
            frames = read_frames(store, video, indices, 40)
            clips.append(transforms.training_crop(frames, config.train.augment, rng)[0])
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


def test_the_average_follows_its_formula(tmp_path, monkeypatch):
    seen = []
    original = TrainStep._update

    def watched(self):
        norm = original(self)
        seen.append((self.network.classifier.weight.detach().clone(), self.ema.module.classifier.weight.clone()))
        return norm

    monkeypatch.setattr(TrainStep, "_update", watched)
    fit(tmp_path, "out", tiny.model(epochs=1, ema=0.9))
    (_, first), (weight, second) = seen
    torch.testing.assert_close(second, 0.9 * first + 0.1 * weight)


@pytest.mark.parametrize("loss", [name for name in registry.names("losses") if name != "auto"])
def test_accumulated_pieces_have_the_gradient_of_the_whole_batch(tmp_path, loss):
    """With frozen batch norms, whose statistics would be those of a piece."""
    config = tiny.model(epochs=1, batch=4, loss=LossConfig(loss, {loss: {"scale": 3.0}}))
    for name, most in (("whole", None), ("pieces", 1), ("uneven", 3)):
        exact = dataclasses.replace(config, options=config.options | {"dropout": 0.0, "partial_bn": True})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.BatchNorm2d, "train", lambda self, mode=True: torch.nn.Module.train(self, False))
            train = tiny.fit_one_label if loss == "cross_entropy" else fit
            train(tmp_path, name, exact, clips_per_device=most)
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


@pytest.mark.slow
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


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_best_weights(tmp_path, monkeypatch):
    original = TrainStep.__call__

    def explodes(self, pieces, lr, step, stop):
        factor = float("nan") if step == 3 else 1
        return original(self, tuple((clip, targets * factor) for clip, targets in pieces), lr, step, stop)

    monkeypatch.setattr(TrainStep, "__call__", explodes)
    with pytest.raises(UserError, match=r"The loss is nan at step 3 \(epoch 2\).*Lower train.optim.lr"):
        fit(tmp_path, "out")
    (best,) = (tmp_path / "out-work").rglob("best.pt")
    assert all(torch.isfinite(t).all() for t in torch.load(best, weights_only=True)["weights"].values())
    assert not (tmp_path / "out" / FILE).exists()


class Reads(TorchDispatchMode):
    """Counts the numbers that are taken out of tensors, each of which waits for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", [name for name in registry.names("losses") if name != "auto"])
def test_a_step_takes_no_number_out_of_a_tensor_until_its_outcome_is_read(tmp_path, monkeypatch, loss):
    step = tiny.train_step(tmp_path, tiny.model(batch=4, ema=0.9, loss=LossConfig(loss, {})))
    pieces = tiny.pieces(2)
    lists = []
    original = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: lists.append(1) or original(tensor))
    with Reads() as reads:
        outcome = step(pieces, 0.01, 0)
    looks_at_targets = loss in ("lsep", "wlsep", "warp")  # on a CPU alone, at each piece's
    assert (reads.count, lists) == (len(pieces) * looks_at_targets, [])
    figures, asked = outcome.read()
    assert lists == [1]
    assert (figures["loss"] > 0, figures["gradient_norm"] > 0, asked) == (True, True, False)


@pytest.mark.parametrize("clip", [0.5, None])
def test_the_gradient_norm_is_that_of_the_whole_batch_before_it_is_clipped(tmp_path, clip):
    config = tiny.model(
        batch=4, optim=OptimConfig(0.01, 0.0, clip, options={"sgd": {"momentum": 0.0, "nesterov": False}})
    )
    config.options["dropout"] = 0.0
    step, pieces = tiny.train_step(tmp_path, config), tiny.pieces(2)
    before = [parameter.detach().clone() for parameter in step.network.parameters()]
    with Reads() as reads:
        outcome = step(pieces, 0.01, 0)
    assert reads.count == 0
    norm = outcome.read()[0]["gradient_norm"]
    moved = [old - new.detach() for old, new in zip(before, step.network.parameters(), strict=True)]
    by_the_update = torch.cat([move.flatten() for move in moved]).norm().item() / 0.01  # plain SGD, without decay
    assert norm > 0.5
    assert by_the_update == pytest.approx(clip or norm, rel=1e-3)


@pytest.mark.parametrize("loss", ["bce", "asymmetric"])
def test_the_parts_of_a_loss_sum_to_it_over_all_pieces(tmp_path, loss):
    step = tiny.train_step(tmp_path, tiny.model(batch=4, loss=LossConfig(loss, {})))
    figures, _ = step(tiny.pieces(2), 0.01, 0).read()
    assert list(figures) == ["loss", "loss_present", "loss_absent", "gradient_norm"]
    assert min(figures["loss_present"], figures["loss_absent"]) > 0
    assert figures["loss_present"] + figures["loss_absent"] == pytest.approx(figures["loss"], rel=1e-5)


def test_the_count_of_reads_sees_one():
    with Reads() as reads:
        assert float(torch.ones(())) == 1
        assert bool(torch.ones(()).isfinite())
    assert reads.count == 2


def test_what_came_of_a_step_is_read_when_the_next_is_under_way(tmp_path, monkeypatch):
    said = []
    taken, read = TrainStep.__call__, Outcome.read

    def take(self, pieces, lr, step, stop):
        said.append(f"take {step}")
        outcome = taken(self, pieces, lr, step, stop)
        outcome.step = step
        return outcome

    monkeypatch.setattr(TrainStep, "__call__", take)
    monkeypatch.setattr(Outcome, "read", lambda self: said.append(f"read {self.step}") or read(self))
    fit(tmp_path, "out", tiny.model(epochs=2, batch=2))
    one = ["take 0", "take 1", "read 0", "take 2", "read 1", "take 3", "read 2", "read 3"]
    assert said[:8] == one, "all are read before the epoch is validated"
    assert said[8:] == [f"{word} {int(step) + 4}" for word, step in map(str.split, one)]


@pytest.mark.parametrize("bad", ["loss", "norm"])
def test_a_state_that_has_diverged_is_never_saved(tmp_path, monkeypatch, bad):
    original, updated = TrainStep._loss_of, TrainStep._update
    seen = []

    def spoilt(self, clip, targets):
        seen.append(1)
        found = original(self, clip, targets)
        return found | {"loss": found["loss"] * (float("nan") if bad == "loss" and len(seen) == 4 else 1)}

    def spoilt_update(self):
        norm = updated(self)
        return norm * float("inf") if bad == "norm" and len(seen) == 4 else norm

    monkeypatch.setattr(TrainStep, "_loss_of", spoilt)
    monkeypatch.setattr(TrainStep, "_update", spoilt_update)
    with pytest.raises(UserError, match=r"(The loss is nan|The norm of the gradient is inf) at step 3 \(epoch 2\)"):
        fit(tmp_path, "out", save_seconds=0)
    (file,) = (tmp_path / "out-work").rglob("state.pt")
    state = torch.load(file, weights_only=True)
    assert state["state"]["step"] == 3, "the last step before it"
    assert all(torch.isfinite(tensor).all() for tensor in state["weights"].values())


@pytest.mark.parametrize("loss", ["bce", "asymmetric", "lsep", "warp", "wlsep"])
def test_pieces_of_labels_that_are_not_known_weigh_as_in_the_whole_batch(tmp_path, loss):
    step = tiny.train_step(tmp_path, tiny.model(batch=6, loss=LossConfig(loss, {})))
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(-1, 2, (6, 3), generator=generator).float()
    logits = torch.randn(6, 3, generator=generator)
    targets[:, 0] = torch.tensor([1, 1, 0, 1, -1, 1])
    cuts = (slice(0, 1), slice(1, 4), slice(4, 6))
    shares = step._shares([(logits[cut], targets[cut]) for cut in cuts])
    parts = sum(share * step.loss(logits[cut], targets[cut]) for share, cut in zip(shares, cuts, strict=True))
    torch.testing.assert_close(parts, step.loss(logits, targets), rtol=1e-6, atol=1e-6)
