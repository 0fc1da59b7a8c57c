"""VideoPrism and V-JEPA 2 against transformers' own. Most tests need the extra hf, as `make nightly` has it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import cost
from pipeline.core.errors import UserError
from pipeline.layers.hugging_face import FrozenEncoder
from pipeline.models import videoprism, vjepa2
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training import optim
from pipeline.training.optim import OptimConfig
from tests.support import checks, tiny, transformers_peer
from tests.support.checks import TINY_VIDEOPRISM, TINY_VJEPA2
from tests.support.transformers_peer import RAW, jepa, prism

NAMES = {0: "walking", 1: "sitting", 2: "falling"}
ADAMW = OptimConfig(1e-3, 0.1, 1.0, name="adamw")


BOTH = [
    pytest.param(prism, videoprism, TINY_VIDEOPRISM, 36, RAW, id="videoprism", marks=pytest.mark.nightly),
    pytest.param(jepa, vjepa2, TINY_VJEPA2, 32, {}, id="vjepa2", marks=pytest.mark.nightly),
]
each = pytest.mark.parametrize(("peer", "model", "options", "side", "told"), BOTH)


@each
def test_a_published_folder_gives_the_librarys_logits_to_the_last_bit(
    tmp_path, monkeypatch, peer, model, options, side, told
):
    transformers_peer.cut_off(monkeypatch)
    theirs, ours = peer(id2label=NAMES), model.build(3, **options)
    folder = transformers_peer.published(theirs, tmp_path, side, **told)
    assert (folder / "model.safetensors").stat().st_size < 1_000_000
    report = transformers_peer.assert_same_logits(theirs, ours, folder, 4, side, "pixel_values_videos")
    assert (report.source, dict(report.kept), report.named, report.licence) == ("transformers", {}, "", "mit")
    assert report.input == model.INPUT
    assert all("predictor." in name for name in report.unused)
    assert "NON-COMMERCIAL" not in str(report)


@each
def test_an_encoder_alone_leaves_the_head_at_its_start(tmp_path, peer, model, options, side, told):
    theirs, ours = peer(encoder_alone=True), model.build(3, **options)
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    report = load_pretrained(ours, transformers_peer.published(theirs, tmp_path, side, **told))
    head = {name for name in start if name.startswith(("backbone.head.", "classifier."))}
    assert {*report.kept["the file has no such layer"]} == head
    now = ours.state_dict()
    assert all(torch.equal(now[name], start[name]) for name in head)
    assert not any(torch.equal(now[name], start[name]) for name in {*now} - head)


@each
def test_the_encoder_has_no_gradient_no_optimiser_and_stays_in_eval_mode(peer, model, options, side, told):
    ours = model.build(3, **options).train()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    optimizer = optim.optimizer(ours, ADAMW)
    encoder = ours.backbone.encoder
    assert not any(module.training for module in encoder.modules())
    assert ours.backbone.head.training
    ours(checks.clips(2, 4, side)).sum().backward()
    assert all(parameter.grad is None for parameter in encoder.parameters())
    optimizer.step()
    moving = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    head = [*ours.backbone.head.parameters(), *ours.classifier.parameters()]
    assert moving == {id(parameter) for parameter in head}
    moved = {name for name, value in ours.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert not any(name.startswith("backbone.encoder.") for name in moved)
    assert isinstance(ours.backbone, FrozenEncoder)


@each
def test_a_training_keeps_what_inference_needs(tmp_path, peer, model, options, side, told):
    theirs = peer(id2label=NAMES)
    folder = transformers_peer.published(theirs, tmp_path / "published", side, licence="apache-2.0", **told)
    config = tiny.model(epochs=1, pretrained=str(folder), optim=ADAMW)
    arch = model.__name__.rpartition(".")[2]
    augment = replace(config.train.augment, crop=side, sides=(side, 40))
    clip = replace(config.clip, side=side, crop=side, sampler=replace(config.clip.sampler, frames=4))
    config = replace(config, arch=arch, options=options, clip=clip, train=replace(config.train, augment=augment))
    out, _ = tiny.fit(tmp_path, "out", config)
    trained = Checkpoint.read(out)
    assert trained.recipe["licence"] == "apache-2.0"
    again = model.build(3, **options)
    again.load_state_dict(trained.weights)
    fresh = model.build(3, **options)
    load_pretrained(fresh, folder)
    same = {name for name, value in fresh.state_dict().items() if torch.equal(value, trained.weights[name])}
    assert {name for name in fresh.state_dict() if name.startswith("backbone.encoder.")} <= same
    assert "classifier.weight" not in same


@pytest.mark.nightly
def test_they_have_the_parameters_of_the_librarys():
    import transformers

    with torch.device("meta"):
        prisms = transformers.VideoPrismForVideoClassification(transformers.VideoPrismVisionConfig(num_labels=400))
        jepas = transformers.VJEPA2ForVideoClassification(transformers.VJEPA2Config(num_labels=174))
        ours = videoprism.build(400), vjepa2.build(174)
    assert cost.parameters(prisms) == cost.parameters(ours[0]) == 124_122_512
    assert cost.parameters(jepas) == 375_485_998
    assert cost.parameters(ours[1]) == 375_485_998 - cost.parameters(jepas.vjepa2.predictor)


@each
def test_what_no_gradient_passes_is_told_from_what_learns(peer, model, options, side, told):
    network = cost.without_data(lambda: model.build(3, **options))
    counted = 0

    def add(layer: torch.nn.Module, _: Any, out: torch.Tensor) -> None:
        nonlocal counted
        counted += out.numel() * layer.weight[0].numel()

    for layer in [*network.backbone.head.modules(), network.classifier]:
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(add)
    learning = (cost.gmacs(network, 4, side) - cost.frozen_gmacs(network, 4, side)) * 1e9
    passes = 2  # `gmacs` is one, and `frozen_gmacs` another
    assert counted / passes <= learning <= 2 * counted / passes  # the products of attention come to it
    assert cost.frozen_gmacs(network.backbone.head, 4, side) == 0


@pytest.mark.nightly
def test_vjepa2_takes_clips_of_other_lengths_than_its_weights(tmp_path):
    theirs, ours = jepa(id2label=NAMES), vjepa2.build(3, **TINY_VJEPA2 | {"frames": 8})
    folder = transformers_peer.published(theirs, tmp_path, 32)
    transformers_peer.assert_same_logits(theirs, ours, folder, 8, 32, "pixel_values_videos")


@pytest.mark.nightly
def test_options_that_no_tensor_shows_are_compared(tmp_path):
    folder: Path = transformers_peer.published(jepa(), tmp_path, 32)
    with pytest.raises(UserError, match=r"Set heads: 2 \(the model has 4\)"):
        load_pretrained(vjepa2.build(3, **TINY_VJEPA2 | {"heads": 4}), folder)
    with pytest.raises(UserError, match=r"Set size: 32 \(the model has 64\)"):
        load_pretrained(vjepa2.build(3, **TINY_VJEPA2 | {"size": 64}), folder)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (videoprism, {"size": 224}, "size=224 a multiple of patch=18"),
        (videoprism, {"frames": 0}, "frames=0 must be at least 1"),
        (videoprism, {"heads": 7}, "width=768 must be a multiple of heads=7"),
        (videoprism, {"temporal_depth": 0}, "temporal_depth=0"),
        (vjepa2, {"frames": 15}, "frames=15 must be even"),
        (vjepa2, {"size": 250}, "size=250 a multiple of patch=16"),
        (vjepa2, {"heads": 7}, "width=1024 must be a multiple of heads=7"),
        (vjepa2, {"pooler_depth": -1}, "pooler_depth=-1 at least 0"),
    ],
)
def test_an_impossible_network_is_refused(model, options, said):
    with pytest.raises(ValueError, match=said):
        model.build(3, **options)


@pytest.mark.parametrize("model", [videoprism, vjepa2])
def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch, model):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"^arch: .*transformers, a package that is missing.*pip install .*'\.\[hf\]'"):
        model.build(3)
