"""Heads on the features of a frozen encoder, from the features to a checkpoint."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file

from pipeline import features, metrics
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.sampling import SamplerConfig
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.features import Features
from pipeline.folds import partition
from pipeline.models import encoder
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training import probe
from pipeline.training.attentive import Attentive
from pipeline.training.config import LossConfig
from pipeline.training.frozen_config import AttentiveConfig, EncoderConfig, EncoderTrainConfig
from pipeline.training.logistic import solve
from pipeline.training.probe import fit_probe, frozen, with_each_head
from tests.support import tiny
from tests.support.checks import TINY_VIT

OPTIONS = {**TINY_VIT, "frames": 2, "rows": 0, "columns": 0}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The features of the tiny corpus, whose classes are colours, and an attentive head on them."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), folder / "net.safetensors")
    heads = AttentiveConfig((0.003, 0.01), (0.01, 0.1), epochs=12, batch=8)
    train = EncoderTrainConfig(
        str(folder / "net.safetensors"), (0.1, 0.01), (1.0,), 2, 100, 0, LossConfig("auto"), heads
    )
    config = EncoderConfig("encoder", OPTIONS, ClipConfig(SamplerConfig("segments", 2), side=32, crop=32), train)
    manifest, store, _ = tiny.corpus(folder / "lmdb", train=24, val=6)
    machine = tiny.machine(folder / "work")
    compute(config, store, manifest, folder / "features" / "one", machine)
    fit_probe(config, manifest, Features.read(folder / "features/one"), folder / "one", machine, MULTI_LABEL)
    return folder, config, manifest, store, machine


def compute(config, store, manifest, out, machine):
    network, spec, about = frozen(config, 3)
    out.parent.mkdir(exist_ok=True)
    videos = [video for video in manifest.videos if video in store]
    features.write(network, spec, config.clip, videos, store, out, machine, {}, about)


def test_it_learns_colours_and_the_checkpoint_scores_what_the_head_scored(done):
    folder, config, manifest, store, _ = done
    val = manifest.without(set(manifest.videos) - set(store.videos)).split("val")
    found = Features.read(folder / "features/one").of(val.videos)
    checkpoint = Checkpoint.read(folder / "one")
    network, _ = config.build(3)
    network.load_state_dict(checkpoint.weights)
    with torch.inference_mode():
        scores = network.eval().read(torch.from_numpy(found)).numpy()
    assert checkpoint.recipe["result"]["val_mAP"] == metrics.sample_map(scores, val.targets()) > 90


def test_every_rate_was_compared_with_every_decay_and_the_best_taken(done):
    folder, *_ = done
    curves = folder / "one/curves/plots/metrics"
    rate, decay, figure = (
        pd.read_csv(curves / f"{name}.tsv", sep="\t").iloc[:, 1].tolist() for name in ("rate", "decay", "held_out/mAP")
    )
    assert list(zip(rate, decay, strict=True)) == [(r, d) for r in (0.003, 0.01) for d in (0.01, 0.1)]
    chosen = Checkpoint.read(folder / "one").recipe["result"]["chosen"]
    best = figure.index(max(figure))
    assert chosen["held_out/mAP"] == figure[best]
    assert not (curves / "val").exists(), "val chose nothing"


def test_the_same_features_give_the_same_bytes(done, tmp_path):
    folder, config, manifest, _, machine = done
    torch.manual_seed(7)  # on which nothing depends
    fit_probe(config, manifest, Features.read(folder / "features/one"), tmp_path / "one", machine, MULTI_LABEL)
    for name in ("model.safetensors", "recipe.json"):
        assert (tmp_path / "one" / name).read_bytes() == (folder / "one" / name).read_bytes()


def test_a_second_head_computes_no_features(done, monkeypatch):
    folder, config, manifest, store, machine = done
    computed = []
    compute_them = features._compute
    monkeypatch.setattr(features, "_compute", lambda *given: computed.append(given[-1]) or compute_them(*given))
    linear = replace(config, options={**OPTIONS, "head": "linear"})
    compute(linear, store, manifest, folder / "features/two", machine)
    assert not computed
    fit_probe(linear, manifest, Features.read(folder / "features/two"), folder / "two", machine, MULTI_LABEL)
    assert Checkpoint.read(folder / "two").recipe["result"]["val_mAP"] > 90
    compute(replace(config, options={**OPTIONS, "rows": 1, "columns": 1}), store, manifest, folder / "x/y", machine)
    array = folder / "features/two/features.npy"
    damaged = array.read_bytes()[:-1] + b"x"
    array.unlink()  # it is one file with that of the other
    array.write_bytes(damaged)
    (folder / "features/one").rename(folder / "one_of_them")
    compute(linear, store, manifest, folder / "features/two", machine)
    (folder / "one_of_them").rename(folder / "features/one")
    assert computed == ["y", "two"], "of another grid, and where the array was damaged"
    assert np.array_equal(*(Features.read(folder / f"features/{name}").values for name in ("one", "two")))


def test_a_head_that_was_trained_before_is_not_what_a_head_starts_from(done):
    folder, config, *_ = done
    again = replace(config, train=replace(config.train, pretrained=str(folder / "one/model.safetensors")))
    fresh, trained = frozen(config, 3)[0].state_dict(), Checkpoint.read(folder / "one").weights
    for name, found in frozen(again, 3)[0].state_dict().items():
        assert torch.equal(found, (trained if name.startswith("backbone.") else fresh)[name]), name
    assert not torch.equal(trained["classifier.weight"], fresh["classifier.weight"])


def test_it_learns_from_all_videos_where_none_is_left_to_validate_it(done, tmp_path):
    folder, config, manifest, _, machine = done
    found = Features.read(folder / "features/one")
    everything = partition.everything(manifest)
    fit_probe(config, everything, found, tmp_path / "final", machine, MULTI_LABEL)
    result = Checkpoint.read(tmp_path / "final").recipe["result"]
    assert result["chosen"]["held_out/mAP"] > 90
    assert "val_mAP" not in result


@pytest.mark.parametrize(
    ("linear", "attentive", "most", "taken"),
    [(90.0, 80.0, 24, "linear"), (80.0, 90.0, 24, "attentive"), (90.0, 80.0, 20, "attentive")],
)
def test_of_an_open_head_the_one_that_cross_validates_better_is_taken(
    done, tmp_path, monkeypatch, caplog, linear, attentive, most, taken
):
    folder, config, manifest, _, machine = done
    monkeypatch.setattr(probe, "LINEAR_VIDEOS", most)
    settings = {"linear": {"decay": 0.1, "appearance": 1.0}, "attentive": {"decay": 0.1, "rate": 0.003}}
    figures = {"linear": linear, "attentive": attentive}

    def compare(tried, *_):
        head = tried.options["head"]
        return [{"held_out/mAP": figures[head] - worse, "held_out/loss": 1.0, **settings[head]} for worse in (1, 0)]

    monkeypatch.setattr(probe, "compare", compare)
    caplog.set_level("INFO")
    auto = replace(config, options={**OPTIONS, "head": "auto"})
    fit_probe(auto, manifest, Features.read(folder / "features/one"), tmp_path / "one", machine, MULTI_LABEL)
    checkpoint = Checkpoint.read(tmp_path / "one")
    assert checkpoint.recipe["options"]["head"] == taken
    assert checkpoint.recipe["result"].get("heads") == (figures if most == 24 else None)
    assert checkpoint.recipe["result"]["chosen"]["held_out/mAP"] == figures[taken]
    assert ("the linear head is taken" in caplog.text) == (taken == "linear")
    network = encoder.build(3, **checkpoint.recipe["options"])
    network.load_state_dict(checkpoint.weights)
    assert network.attentive == (taken == "attentive")


def test_a_head_that_is_named_is_not_compared_with_the_other(done):
    _, config, *_ = done
    for head in ("linear", "attentive"):
        named = replace(config, options={**OPTIONS, "head": head})
        assert with_each_head(named, 24) == [named]
    assert [each.options["head"] for each in with_each_head(config, 24)] == ["attentive", "linear"]


def test_a_size_that_is_not_that_of_the_clips_is_refused(done):
    _, config, *_ = done
    with pytest.raises(UserError, match=r"clip\.crop: must be options\.size, 64, not 32"):
        replace(config, options={**OPTIONS, "size": 64}).build(3)


def test_it_tells_apart_what_the_mean_over_the_frames_cannot():
    """Two frames alike against two that differ, whatever their order: the mean is the same in the mean."""
    rng = np.random.default_rng(0)
    shown = rng.choice((-1.0, 1.0), (400, 2))  # what is seen in each of the two frames
    targets = np.eye(2)[(shown[:, 0] == shown[:, 1]).astype(int)]
    tokens = np.repeat(shown[:, :, None], 64, axis=2) * rng.normal(size=64) + 0.1 * rng.normal(size=(400, 2, 64))
    tokens = tokens.reshape(400, -1).astype(np.float32)
    torch.manual_seed(0)
    network = encoder.build(2, **{**OPTIONS, "width": 32, "heads": 2})
    config = AttentiveConfig((0.003,), (0.01,), epochs=20, batch=32)
    head = Attentive(network, tokens[:300], torch.from_numpy(targets[:300]), config, 0, SINGLE_LABEL)
    head.fit({"rate": 0.003, "decay": 0.01})
    assert metrics.top_k(1, head.scores(tokens[300:]), targets[300:]) > 95
    means = torch.from_numpy(tokens.reshape(400, 2, 64).mean(axis=1)).double()
    *_, (coefficients, bias) = solve(
        means[:300] @ means[:300].T, torch.from_numpy(targets[:300]), (0.01,), SINGLE_LABEL
    )
    of_means = (means[300:] @ means[:300].T @ coefficients + bias).numpy()
    assert metrics.top_k(1, of_means, targets[300:]) < 70


@pytest.fixture
def noise() -> Attentive:
    """A head on random features of 48 videos, whose labels are drawn by lot: there is nothing to learn but by heart."""
    rng = np.random.default_rng(0)
    targets = torch.from_numpy(np.eye(2)[rng.permutation(48) % 2])
    torch.manual_seed(0)
    network = encoder.build(2, **{**OPTIONS, "width": 32, "heads": 2})
    config = AttentiveConfig((0.003,), (0.0,), epochs=30, batch=16)
    return Attentive(network, rng.normal(size=(48, 128)).astype(np.float32), targets, config, 0, SINGLE_LABEL)


def test_the_settings_are_chosen_by_heads_that_have_not_seen_the_videos(noise):
    rows, fold = np.arange(48), np.arange(48) // 2 % 4
    ((_, logits),) = noise.held_out(rows, fold)
    assert metrics.top_k(1, logits.numpy(), noise.targets.numpy()) < 75
    noise.fit({"rate": 0.003, "decay": 0.0})
    assert metrics.top_k(1, noise.scores(noise.features.numpy()), noise.targets.numpy()) > 95, "it can learn by heart"


def test_a_rate_that_ends_in_no_number_is_named(noise):
    noise.config = replace(noise.config, rates=(0.003, 1e30))
    with pytest.raises(UserError, match=r"not finite with the learning rate 1e\+30.*train\.attentive\.rates"):
        list(noise.held_out(np.arange(48), np.arange(48) // 2 % 4))


def test_every_training_begins_anew(noise):
    chosen = {"rate": 0.003, "decay": 0.0}
    noise.fit(chosen)
    once = noise.scores(noise.features.numpy())
    noise.fit(chosen)
    np.testing.assert_array_equal(noise.scores(noise.features.numpy()), once)
