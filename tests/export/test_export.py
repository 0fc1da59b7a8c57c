"""`pipeline export` as far as it needs no extra: programs of PyTorch, what is refused, and the message of the extra."""

import json
import sys

import numpy as np
import pytest
import torch

from pipeline.cli.new_videos import Scorer
from pipeline.clips.short_sides import PackConfig
from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.core.machine import load_machine
from pipeline.export import description, folder, graphs
from pipeline.export.description import Description, SoundDescription
from pipeline.extraction.config import ExtractConfig
from pipeline.layers.log_mel import log_mel
from pipeline.layers.normalize import normalize
from pipeline.models import audio_cnn
from tests.support import tiny
from tests.support.command import call


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        (("export", "net", "--onnx"), "onnx"),
        (("export", "net", "--onnx"), "onnxscript"),
        (("export", "net", "--onnx"), "onnxruntime"),
        (("predict", "params.yaml", "--onnx", "x.onnx"), "onnxruntime"),
    ],
)
def test_without_the_extra_one_message_says_how_to_install_it(project, monkeypatch, asked, missing):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else torch)
    with pytest.raises(UserError, match=rf"{missing}.*--constraint constraints.txt --editable '\.\[onnx\]'"):
        call(*asked)
    assert not (project / "export").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net", pytest.param("other", marks=pytest.mark.nightly)])
def test_a_program_answers_as_the_network_and_says_how_it_is_fed(project, capsys, name):
    assert call("export", name, "--torch") is None

    assert capsys.readouterr().out.splitlines()[-1] == f"wrote export/{name}: README.md, SHA256SUMS, {name}.pt2"
    extra = {"description.json": ""}
    program = torch.export.load(f"export/{name}/{name}.pt2", extra_files=extra).module()
    predictor = Scorer(name, project / "data", load_machine()).members[0].predictor
    for batch, size in ((1, 40), (4, 48)) if name == "other" else ((1, 32), (4, 32)):
        pixels = torch.randint(0, 256, (batch, 3, 2, size, size), dtype=torch.uint8)
        clips = normalize(pixels, predictor.checkpoint.input)
        torch.testing.assert_close(program(clips), predictor.network(clips), rtol=0, atol=1e-5)
    told = json.loads(extra["description.json"])
    assert told["classes"] == list(tiny.COLOURS)
    assert told["weights_sha256"] == files.file_hash(project / "data/models" / name / "model.safetensors")
    found = description.read(Description, {key: json.dumps(value) for key, value in told.items()}, "it")
    assert (found.grid, found.sampler, found.task) == (predictor.grid, predictor.clip.sampler, predictor.task)
    assert found.crops == ((40, 48) if name == "other" else (32,))
    checksums.check(project / f"export/{name}/{name}.pt2")


def test_a_file_that_answers_otherwise_is_not_written(project, monkeypatch):
    monkeypatch.setattr(graphs, "write_program", lambda *given: given[-1].write_text("it"))
    monkeypatch.setattr(graphs, "answers_of_program", lambda _: lambda inputs: np.full((len(inputs[0]), 3), 7.0))

    with pytest.raises(UserError, match=r"The \.pt2 file of net differs from the network by .* inputs of 1x3x2x32x32"):
        call("export", "net", "--torch")
    assert not list((project / "export").iterdir())


def test_what_is_no_number_differs():
    network = torch.nn.Identity()
    for answer in (np.full((1, 2), np.nan, np.float32), np.full((1, 2), 2e-4, np.float32)):
        with pytest.raises(UserError, match="differs from the network by"):
            graphs.compare(lambda _, answer=answer: answer, network, [(torch.zeros(1, 2),)], "It")
    close = np.full((1, 2), 5e-5, np.float32)
    assert graphs.compare(lambda _: close, network, [(torch.zeros(1, 2),)], "It") == pytest.approx(5e-5)


def test_large_logits_may_differ_in_proportion():
    network = torch.nn.Identity()
    found = graphs.compare(lambda _: np.float32([[8.0005, -8]]), network, [(torch.tensor([[8.0, -8]]),)], "It")
    assert found == pytest.approx(5e-4, rel=1e-2)
    with pytest.raises(UserError, match=r"differs from the network by 0\.001 for .*, which is more than 0\.0008"):
        graphs.compare(lambda _: np.float32([[8.001, -8]]), network, [(torch.tensor([[8.0, -8]]),)], "It")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("net",), "Give --onnx or --torch"),
        (("ensemble", "--torch"), "The ensemble is written as ONNX alone"),
        (("nett", "--torch"), "no model 'nett', only net, other, ensemble"),
        (("net", "--torch", "--out", "data"), "data is there already. Delete it"),
    ],
)
def test_what_cannot_be_written_is_a_message(project, asked, message):
    with pytest.raises(UserError, match=message):
        call("export", *asked)
    assert not (project / "export").exists()


def test_what_is_tried_of_differences_has_the_frames_of_all_places(differing):
    predictor = Scorer("net", differing / "data", load_machine()).members[0].predictor
    told = description.of(predictor, ExtractConfig(30, 48, 2, 60, 1), PackConfig((48,)))
    clips = folder._clips(told, 3, 32)
    assert clips.shape == (3, 3, 2 * 6, 32, 32)
    assert predictor.network(clips).shape == (3, 3)


@pytest.mark.nightly
def test_a_program_of_a_model_of_differences_takes_the_frames_of_all_places(differing):
    assert call("export", "net", "--torch") is None

    program = torch.export.load("export/net/net.pt2").module()
    predictor = Scorer("net", differing / "data", load_machine()).members[0].predictor
    clips = torch.rand(3, 3, 2 * 6, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted = predictor.network(clips)
    assert wanted.std() > 0.01
    torch.testing.assert_close(program(clips), wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_program_of_a_model_that_hears_takes_samples_as_they_are(hearing):
    assert call("export", "ear", "--torch") is None

    extra = {"description.json": ""}
    program = torch.export.load("export/ear/ear.pt2", extra_files=extra).module()
    predictor = Scorer("ear", hearing / "data", load_machine()).members[0].predictor
    noise = torch.randint(-(2**15), 2**15, (4, 6_400), generator=torch.Generator().manual_seed(0), dtype=torch.int16)
    for batch in (1, 4):
        wanted = predictor.network(log_mel(noise[:batch], audio_cnn.INPUT))
        assert wanted.std() > 0.01
        torch.testing.assert_close(program(noise[:batch]), wanted, rtol=0, atol=1e-4)
    told = json.loads(extra["description.json"])
    found = description.read_model({key: json.dumps(value) for key, value in told.items()}, "it")
    assert isinstance(found, SoundDescription)
    assert (found.samples, found.input, found.grid) == (6_400, audio_cnn.INPUT, predictor.grid)
    assert (found.classes, found.protocol) == (tuple(tiny.COLOURS), "multiscale")


def test_what_is_tried_is_loud_soft_and_silent(hearing):
    predictor = Scorer("ear", hearing / "data", load_machine()).members[0].predictor
    told = description.of(predictor, ExtractConfig(30, 48, 2, 60, 1), PackConfig((48,)))
    assert isinstance(told, SoundDescription)
    loud, soft, silent = folder._sounds(told, 3).double().square().mean(dim=1).sqrt().tolist()
    assert (round(loud / soft), silent) == (10, 0)
    assert folder._sounds(told, 1).double().std() > 10_000


def test_a_file_of_another_program_is_named():
    with pytest.raises(UserError, match=r"x\.onnx does not say its 'model': it is no file of `pipeline export`"):
        description.read(Description, {"producer": "other"}, "x.onnx")
