"""VideoMAE against transformers' own. Most of these tests need the extra hf, which `make nightly` installs."""

import sys
from dataclasses import replace

import pytest
import torch

from pipeline import cost
from pipeline.core.errors import UserError
from pipeline.models import videomae
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.optim import OptimConfig
from tests.support import checks, tiny, transformers_peer
from tests.support.checks import TINY_VIDEOMAE

THEIRS = {
    "num_frames": 4, "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 96,
    "decoder_hidden_size": 24, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
}  # fmt: skip
NAMES = {0: "walking", 1: "sitting", 2: "falling"}


@pytest.mark.nightly
@pytest.mark.parametrize("mean_pooling", [True, False])
def test_a_published_folder_gives_the_librarys_logits_to_the_last_bit(tmp_path, monkeypatch, mean_pooling):
    import transformers

    transformers_peer.cut_off(monkeypatch)
    config = transformers.VideoMAEConfig(**THEIRS, id2label=NAMES, use_mean_pooling=mean_pooling)
    peer = transformers.VideoMAEForVideoClassification(config)
    folder = transformers_peer.published(peer, tmp_path, 32, licence="cc-by-nc-4.0")
    assert any(name.endswith("q_bias") for name in transformers_peer.names_in(folder)), "as published ones have it"
    assert (folder / "model.safetensors").stat().st_size < 200_000
    ours = videomae.build(3, **TINY_VIDEOMAE, mean_pooling=mean_pooling)
    report = transformers_peer.assert_same_logits(peer, ours, folder, 4, 32, "pixel_values")
    assert (report.source, dict(report.kept), report.unused, report.named) == ("transformers", {}, (), "")
    assert report.input == videomae.INPUT
    assert "cc-by-nc-4.0 - NON-COMMERCIAL, and so is what is trained from them" in str(report)


@pytest.mark.nightly
def test_an_encoder_from_its_pretraining_leaves_the_head_at_its_start(tmp_path):
    import transformers

    peer = transformers.VideoMAEForPreTraining(transformers.VideoMAEConfig(**THEIRS, use_mean_pooling=False))
    ours = videomae.build(3, **TINY_VIDEOMAE)
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    report = load_pretrained(ours, transformers_peer.published(peer, tmp_path, 32))
    head = ("backbone.norm.weight", "backbone.norm.bias", "classifier.weight", "classifier.bias")
    assert {*report.kept["the file has no such layer"]} == {*head}
    assert all(torch.equal(ours.state_dict()[name], start[name]) for name in head)
    assert {name.partition(".")[0] for name in report.unused} == {
        "decoder",
        "encoder_to_decoder",
        "mask_token",
        "videomae",
    }
    assert [name for name in report.unused if name.startswith("videomae")] == [
        "videomae.layernorm.bias", "videomae.layernorm.weight",
    ]  # fmt: skip
    encoder = peer.videomae.encoder.state_dict()
    assert all(torch.equal(ours.state_dict()[f"backbone.network.encoder.{name}"], encoder[name]) for name in encoder)


@pytest.mark.nightly
def test_a_network_that_reads_its_first_patch_is_told_from_one_that_reads_the_mean(tmp_path):
    import transformers

    peer = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(**THEIRS, use_mean_pooling=False))
    folder = transformers_peer.published(peer, tmp_path, 32)
    with pytest.raises(UserError, match=r"Set mean_pooling: false \(the model has true\)"):
        load_pretrained(videomae.build(2, **TINY_VIDEOMAE), folder)


@pytest.mark.nightly
def test_it_has_the_parameters_of_the_librarys():
    import transformers

    with torch.device("meta"):
        peer = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(num_labels=400))
        ours = videomae.build(400)
    assert cost.parameters(peer) == cost.parameters(ours) == 86_534_800
    assert cost.gmacs(ours.eval(), 16, 224) == pytest.approx(180.3, rel=0.01)


@pytest.mark.nightly
def test_a_training_from_a_folder_keeps_its_input_and_its_licence(tmp_path, monkeypatch):
    import transformers

    transformers_peer.cut_off(monkeypatch)
    config = transformers.VideoMAEConfig(**THEIRS | {"num_frames": 2}, id2label=NAMES)
    peer = transformers.VideoMAEForVideoClassification(config)
    folder = transformers_peer.published(peer, tmp_path / "published", 32, "cc-by-nc-4.0", image_mean=[0.5, 0.4, 0.3])
    options, optim = TINY_VIDEOMAE | {"frames": 2}, OptimConfig(1e-3, 0.05, 1.0, name="adamw")
    start = tiny.model(epochs=1, pretrained=str(folder), optim=optim)
    out, _ = tiny.fit(tmp_path, "out", replace(start, arch="videomae", options=options))
    trained = Checkpoint.read(out)
    assert trained.recipe["licence"] == "cc-by-nc-4.0"
    assert trained.input.mean == (0.5, 0.4, 0.3)
    again = videomae.build(3, **options)
    assert load_pretrained(again, out / "model.safetensors").licence == "cc-by-nc-4.0"


@pytest.mark.nightly
def test_a_clip_of_another_size_is_refused_with_the_remedy():
    model = videomae.build(3, **TINY_VIDEOMAE)
    with pytest.raises(ValueError, match=r"4 frames of 64 x 64 pixels.*for 4 of 32 x 32.*`size: 64`"):
        model(checks.clips(1, 4, 64))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 15}, "frames=15 must be even"),
        ({"size": 200}, "size=200 a multiple of patch=16"),
        ({"heads": 7}, "width=768 must be a multiple of heads=7"),
        ({"depth": 0}, "depth=0 at least 1"),
    ],
)
def test_an_impossible_network_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        videomae.build(3, **options)


def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"^arch: .*transformers, a package that is missing.*pip install .*'\.\[hf\]'"):
        videomae.build(3)
