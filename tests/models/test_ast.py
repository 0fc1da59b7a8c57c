"""AST against transformers' own. Most of these tests need the extra hf, which `make nightly` installs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import cost
from pipeline.clips.sound_dataset import SoundClipConfig
from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec, log_mel
from pipeline.layers.normalize import normalize
from pipeline.models import ast
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training import trainer
from pipeline.training.optim import OptimConfig
from tests.support import tiny, tiny_sound, transformers_peer
from tests.support.checks import TINY_AST
from tests.support.golden.golden_io import fill, make_input

THEIRS = {
    "num_mel_bins": 32, "max_length": 40, "patch_size": 8, "frequency_stride": 8, "time_stride": 8,
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96,
}  # fmt: skip
NAMES = {0: "walking", 1: "sitting", 2: "falling"}
HEARD = {"num_mel_bins": 32, "max_length": 40, "mean": -3.0, "std": 2.0}


def published(network: Any, folder: Path, licence: str = "bsd-3-clause") -> Path:
    """The folder that the library makes of a network with weights that are not zero, its card, and preprocessing."""
    import transformers

    fill(network).save_pretrained(folder)
    transformers.ASTFeatureExtractor(**HEARD).save_pretrained(folder)
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return folder


def sounds() -> dict[str, np.ndarray]:
    """Three seconds of noise, of a loud tone that stops, of all but silence on a constant, and 12 s of noise."""
    rng, time = np.random.default_rng(0), np.arange(48_000) / 16_000
    tone = np.where(time < 1.5, 30_000 * np.sin(2 * np.pi * 3_000 * time), rng.normal(0, 1, 48_000))
    made = {
        "noise": rng.integers(-20_000, 20_000, 48_000),
        "tone": tone,
        "constant": 20_000 + rng.normal(0, 1, 48_000),
        "silence": np.zeros(48_000),
        "long": rng.integers(-20_000, 20_000, 12 * 16_000),
    }
    return {name: sound.astype(np.int16) for name, sound in made.items()}


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize("name", sounds())
def test_the_image_is_that_of_the_librarys_preprocessing(name):
    import transformers

    sound = sounds()[name]
    extractor = transformers.ASTFeatureExtractor()
    assert hasattr(extractor, "mel_filters"), "its path without torchaudio"
    theirs = extractor(sound.astype(np.float32) / 2**15, sampling_rate=16_000, return_tensors="pt").input_values
    ours = log_mel(torch.from_numpy(sound)[None], ast.INPUT)
    assert ours.shape == (1, 1, 128, 1024)
    torch.testing.assert_close(ours[:, 0].transpose(1, 2), theirs, rtol=0, atol=1e-3)
    assert (ours[:, 0].transpose(1, 2) - theirs).abs().mean() < 1e-5
    if name != "long":
        padding = torch.full((128, 1024 - 298), 4.2677393 / (2 * 4.5689974))  # of log-loudness 0, not of silence
        torch.testing.assert_close(ours[0, 0, :, 298:], padding)


@pytest.mark.nightly
def test_a_published_folder_gives_the_librarys_logits_of_a_sound(tmp_path, monkeypatch):
    import transformers

    transformers_peer.cut_off(monkeypatch)
    peer = transformers.ASTForAudioClassification(transformers.ASTConfig(**THEIRS, id2label=NAMES))
    folder = published(peer, tmp_path)
    assert any(".attention.attention.query." in name for name in transformers_peer.names_in(folder)), "as published"
    ours = ast.build(3, **TINY_AST).eval()
    report = load_pretrained(ours, folder, classes=tuple(NAMES.values()))
    assert (report.source, dict(report.kept), report.unused, report.named) == ("transformers", {}, (), "")
    assert report.input == MelSpec.kaldi(32, 40, -3.0, 4.0)
    assert "bsd-3-clause" in str(report)

    again = transformers.ASTForAudioClassification.from_pretrained(folder, local_files_only=True).eval()
    images = make_input((2, 1, 32, 40))
    with torch.inference_mode():
        expected = again(images[:, 0].transpose(1, 2)).logits
        assert expected.std() > 0
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=0)

    sound = sounds()["noise"][:5_000]
    extractor = transformers.ASTFeatureExtractor.from_pretrained(folder, local_files_only=True)
    heard = extractor(sound.astype(np.float32) / 2**15, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        expected = again(**heard).logits
        found = ours(normalize(torch.from_numpy(sound)[None], report.input))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.nightly
def test_rows_of_the_classifier_go_by_the_names_of_the_folder(tmp_path):
    import transformers

    peer = transformers.ASTForAudioClassification(transformers.ASTConfig(**THEIRS, id2label=NAMES))
    folder = published(peer, tmp_path)
    whole, ours = ast.build(3, **TINY_AST), ast.build(4, **TINY_AST)
    load_pretrained(whole, folder, classes=tuple(NAMES.values()))
    fresh = ours.classifier.weight.clone()
    report = load_pretrained(ours, folder, classes=("falling", "new", "walking", "other"))
    assert torch.equal(ours.classifier.weight[[0, 2]], whole.classifier.weight[[2, 0]])
    assert torch.equal(ours.classifier.weight[[1, 3]], fresh[[1, 3]])
    assert "new" in report.named


@pytest.mark.nightly
def test_an_encoder_alone_leaves_the_head_at_its_start(tmp_path):
    import transformers

    ours = ast.build(3, **TINY_AST)
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    report = load_pretrained(ours, published(transformers.ASTModel(transformers.ASTConfig(**THEIRS)), tmp_path))
    head = ("backbone.norm.weight", "backbone.norm.bias", "classifier.weight", "classifier.bias")
    assert {*report.kept["the file has no such layer"]} == {*head}
    now = ours.state_dict()
    assert {name for name in now if torch.equal(now[name], start[name])} == {*head}


@pytest.mark.nightly
def test_options_that_no_tensor_shows_are_compared(tmp_path):
    import transformers

    peer = transformers.ASTForAudioClassification(transformers.ASTConfig(**THEIRS, id2label=NAMES))
    folder = published(peer, tmp_path)
    with pytest.raises(UserError, match=r"Set heads: 2 \(the model has 4\)"):
        load_pretrained(ast.build(3, **TINY_AST | {"heads": 4}), folder)
    with pytest.raises(UserError, match=r"Set columns: 40 \(the model has 42\)"):
        load_pretrained(ast.build(3, **TINY_AST | {"columns": 42}), folder)


@pytest.mark.nightly
def test_it_has_the_parameters_and_the_price_of_the_librarys():
    import transformers

    with torch.device("meta"):
        peer = transformers.ASTForAudioClassification(transformers.ASTConfig(num_labels=527))
        ours = ast.build(527).eval()
    assert cost.parameters(peer) == cost.parameters(ours) == 86_594_063
    assert cost.gmacs_of(ours, (1, 128, 1024)) == pytest.approx(130.5, rel=0.01)


@pytest.mark.nightly
def test_a_training_from_a_folder_keeps_its_input_and_its_licence(tmp_path, monkeypatch):
    import transformers

    transformers_peer.cut_off(monkeypatch)
    peer = transformers.ASTForAudioClassification(transformers.ASTConfig(**THEIRS, id2label=NAMES))
    folder = published(peer, tmp_path / "published", licence="cc-by-nc-4.0")
    config = tiny_sound.model(epochs=1, pretrained=str(folder), optim=OptimConfig(1e-3, 0.05, 1.0, name="adamw"))
    config = replace(config, arch="ast", options=TINY_AST, clip=SoundClipConfig("sound", 0.3))
    assert config.shape() == (1, 32, 40)
    out = tmp_path / "out"
    trainer.fit(config, *tiny_sound.corpus(tmp_path / "sound"), out, tiny.machine(tmp_path / "work"))
    trained = Checkpoint.read(out)
    assert trained.recipe["licence"] == "cc-by-nc-4.0"
    assert trained.input == MelSpec.kaldi(32, 40, -3.0, 4.0)
    again = ast.build(3, **TINY_AST)
    assert load_pretrained(again, out / "model.safetensors").input == trained.input
    with pytest.raises(UserError, match=r"Set columns: 40 \(the model has 42\)"):
        load_pretrained(ast.build(3, **TINY_AST | {"columns": 42}), out / "model.safetensors")


@pytest.mark.nightly
def test_masks_are_drawn_in_training_alone():
    model, images = ast.build(3, **TINY_AST, mask_bands=0.5, mask_time=0.5), make_input((2, 1, 32, 40))
    assert torch.equal(model.eval()(images), model(images))
    assert not torch.equal(model.train()(images), model(images))


@pytest.mark.nightly
def test_an_image_of_another_size_is_refused_with_the_remedy():
    model = ast.build(3, **TINY_AST)
    with pytest.raises(ValueError, match=r"32 bands and 50 columns.*built for 32 and 40.*`columns: 50`"):
        model(make_input((1, 1, 32, 50)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": 15}, "columns=15 must be at least patch=16"),
        ({"mels": 8}, "mels=8 and"),
        ({"time_stride": 0}, "time_stride=0 at least 1"),
        ({"heads": 7}, "width=768 must be a multiple of heads=7"),
        ({"depth": 0}, "depth=0 at least 1"),
    ],
)
def test_an_impossible_network_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        ast.build(3, **options)


def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"^arch: .*transformers, a package that is missing.*pip install .*'\.\[hf\]'"):
        ast.build(3)
