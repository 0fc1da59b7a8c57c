"""Probes of VideoPrism and V-JEPA 2, from a published folder to a checkpoint.

All tests need the extra hf, as `make nightly` has it.
"""

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import features
from pipeline.clips.dataset import ClipConfig
from pipeline.clips.sampling import SamplerConfig
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL
from pipeline.features import Features
from pipeline.layers.hugging_face import FrozenEncoder
from pipeline.models import videoprism_probe, vjepa2_probe
from pipeline.pretrained.load import Candidate, load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.config import LossConfig
from pipeline.training.frozen_config import AttentiveConfig, EncoderConfig, EncoderTrainConfig
from pipeline.training.probe import fit_probe, frozen
from tests.support import checks, tiny, transformers_peer
from tests.support.checks import TINY_CELLS, TINY_VIDEOPRISM_PROBE, TINY_VJEPA2_PROBE
from tests.support.golden.golden_io import fill
from tests.support.transformers_peer import RAW, jepa, prism

pytestmark = pytest.mark.nightly

NAMES = {0: "walking", 1: "sitting", 2: "falling"}
BOTH = [
    pytest.param(prism, videoprism_probe, TINY_VIDEOPRISM_PROBE, 36, (4, 2, 2), RAW, id="videoprism"),
    pytest.param(jepa, vjepa2_probe, TINY_VJEPA2_PROBE, 32, (2, 4, 4), {}, id="vjepa2"),
]
each = pytest.mark.parametrize(("peer", "model", "options", "side", "patches", "told"), BOTH)


def encoder_of(network: Any) -> Any:
    """The encoder of a network of transformers, whichever class has it."""
    inner = getattr(network, "vjepa2", getattr(network, "vision_model", network))
    return getattr(inner, "encoder", inner)


@each
@pytest.mark.parametrize("alone", [False, True])
def test_its_features_are_means_of_what_the_librarys_encoder_says(
    tmp_path, monkeypatch, peer, model, options, side, patches, told, alone
):
    transformers_peer.cut_off(monkeypatch)
    theirs, ours = peer(encoder_alone=alone, id2label=NAMES), model.build(3, **options).eval()
    head = {name: value.clone() for name, value in ours.state_dict().items() if not name.startswith("backbone.")}
    report = load_pretrained(ours, transformers_peer.published(theirs, tmp_path, side, **told), classes=("a", "b", "c"))
    again = type(theirs).from_pretrained(tmp_path, local_files_only=True).eval()
    clips = checks.clips(2, 4, side)
    with torch.inference_mode():
        said = encoder_of(again)(clips.transpose(1, 2)).last_hidden_state
    said = said.view(2, *patches, -1).numpy()
    found = ours.features(clips).view(2, 2, 2, 1, -1).numpy()
    assert np.abs(said).max() > 0.1
    for moment, times in enumerate(np.split(np.arange(patches[0]), 2)):
        for row, heights in enumerate(np.split(np.arange(patches[1]), 2)):
            box = said[:, times][:, :, heights]
            np.testing.assert_allclose(found[:, moment, row, 0], box.mean(axis=(1, 2, 3)), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in head.items())
    assert {*report.kept["the file has no such layer"]} == {*head}
    assert any("classifier" in name for name in report.unused) != alone
    assert (report.input, report.licence, report.named) == (model.INPUT, "mit", "")


@each
def test_a_head_of_as_many_heads_as_the_encoder_is_told_from_it(tmp_path, peer, model, options, side, patches, told):
    folder = transformers_peer.published(peer(), tmp_path, side, **told)
    load_pretrained(model.build(3, **options | {"pool_heads": 8}), folder)
    with pytest.raises(UserError, match=r"Set heads: 2 \(the model has 4\)"):
        load_pretrained(model.build(3, **options | {"heads": 4, "pool_heads": 2}), folder)


@each
def test_the_encoder_sees_every_video_once_whatever_learns_from_it(
    tmp_path, monkeypatch, caplog, peer, model, options, side, patches, told
):
    caplog.set_level("INFO")
    seen = []
    see = FrozenEncoder.forward
    monkeypatch.setattr(FrozenEncoder, "forward", lambda own, clip: seen.extend(clip) or see(own, clip))
    torch.manual_seed(0)
    folder = transformers_peer.published(peer(), tmp_path / "published", side, licence="cc-by-nc-4.0", **told)
    heads = AttentiveConfig((0.003, 0.01), (0.01,), epochs=12, batch=8)
    train = EncoderTrainConfig(str(folder), (0.1, 0.01), (1.0,), 2, 100, 0, LossConfig("auto"), heads)
    clip = ClipConfig(SamplerConfig("segments", 4), side=side, crop=side)
    manifest, store, _ = tiny.corpus(tmp_path / "lmdb", train=24, val=6)
    machine, good = tiny.machine(tmp_path / "work"), [video for video in manifest.videos if video in store]
    for name, head in (("one", {}), ("two", {"head": "linear"})):
        config = EncoderConfig(model.__name__.rpartition(".")[2], options | head, clip, train)
        network, spec, about = frozen(config, 3)
        assert "cc-by-nc-4.0 - NON-COMMERCIAL" in caplog.text
        caplog.clear()
        out = tmp_path / "features" / name
        out.parent.mkdir(exist_ok=True)
        features.write(network, spec, clip, good, store, out, machine, {}, about)
        fit_probe(config, manifest, Features.read(out), tmp_path / name, machine, MULTI_LABEL)
        checkpoint = Checkpoint.read(tmp_path / name)
        assert checkpoint.recipe["licence"] == "cc-by-nc-4.0"
        assert checkpoint.recipe["result"]["val_mAP"] > 90, "classes are colours"
        network.load_state_dict(checkpoint.weights)
        assert network.eval().read(torch.from_numpy(Features.read(out).of(good))).shape == (len(good), 3)
    assert len(seen) == len(good), "the linear head learns from the same features"
    assert Features.read(tmp_path / "features/one").values.shape == (len(good), 2 * 2 * 24)


@each
def test_the_encoder_of_a_checkpoint_of_ours_serves_whichever_head_stood_behind_it(
    tmp_path, peer, model, options, side, patches, told
):
    name = model.__name__.rpartition(".")[2]
    plain = importlib.import_module(f"pipeline.models.{name.removesuffix('_probe')}")
    fewer = {key: value for key, value in options.items() if key not in TINY_CELLS}
    for arch, network, given in (
        (name, model.build(3, **options), options),
        (name, model.build(3, **options, head="linear"), options | {"head": "linear"}),
        (name.removesuffix("_probe"), plain.build(3, **fewer), fewer),
    ):
        recipe = {"arch": arch, "options": given, "licence": "cc-by-nc-4.0"}
        folder = tmp_path / f"{arch}-{len(given)}"
        Checkpoint(fill(network).state_dict(), recipe, ("a", "b", "c"), model.INPUT).write(folder)
        ours = model.build(3, **options)
        start = {key: value.clone() for key, value in ours.state_dict().items()}
        report = load_pretrained(ours, folder / "model.safetensors")
        for key, value in ours.state_dict().items():
            other = network.state_dict() if key.startswith("backbone.") else start
            assert torch.equal(value, other[key]), f"{key} from {folder.name}"
        assert report.licence == "cc-by-nc-4.0"


@each
def test_a_message_names_the_probe_and_not_the_network_that_is_trained_on_clips(
    tmp_path, peer, model, options, side, patches, told
):
    name = model.__name__.rpartition(".")[2]
    other, theirs, crop = ("vjepa2_probe", jepa, 32) if peer is prism else ("videoprism_probe", prism, 36)
    folder = transformers_peer.published(theirs(), tmp_path / "published", crop)
    with pytest.raises(UserError, match=rf"Set arch: {other} \(the model has {name}\)"):
        load_pretrained(model.build(3, **options), folder)
    recipe = {"arch": name, "options": options}
    Checkpoint(model.build(3, **options).state_dict(), recipe, ("a", "b", "c"), model.INPUT).write(tmp_path / "own")
    assert Candidate.read(tmp_path / "own/model.safetensors").describe() == name
