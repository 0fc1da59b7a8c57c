"""`python -m pipeline.pretrained`: what a checkpoint is and what it fits."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from pipeline.cli import checkpoint
from pipeline.core.errors import UserError
from pipeline.pretrained import weight_file
from tests.support import peers

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)


def tiny_network(classes: int = 1000) -> torch.nn.Module:
    """The backbone of conf/model/tsn_demo.yaml, with a classifier."""
    return timm.create_model("resnet10t", num_classes=classes, stem_width=8, channels=[16, 32, 64, 128])


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    return peers.write(tmp_path / "net.pth", tiny_network().state_dict())


def test_it_says_what_a_file_is_and_what_it_fits(image_file: Path, capsys: pytest.CaptureFixture[str]):
    checkpoint.main([str(image_file)])

    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said[f"{image_file}:"] == f"{image_file}: timm"
    assert "Image networks of timm" in said["from"]
    assert said["container"].endswith("no container")
    assert said["classes"].endswith("1000")
    assert "an image network" in said["seems"]
    assert weight_file.read(image_file).sha256 in said["sha256"]
    fitting = {name.strip(",") for name in said["fits"].split()[1:]}
    assert {"tsn_demo", "tsm_demo", "tin_demo"} <= fitting
    assert not fitting & {"tsn_r101", "slowfast_demo"}


def test_it_says_what_a_model_would_take(image_file: Path, capsys: pytest.CaptureFixture[str]):
    checkpoint.main([str(image_file), "--model", "tin_demo", "--classes", "9"])

    said = capsys.readouterr().out
    assert "1000 classes in the file, 9 in the model" in said
    assert ".temporal." in said


def test_a_model_that_does_not_fit_or_exist_is_an_error(image_file: Path):
    with pytest.raises(UserError, match="does not fit the model"):
        checkpoint.main([str(image_file), "--model", "tsn_r101"])
    with pytest.raises(UserError, match=r"no model 'nope'.*tsn_demo"):
        checkpoint.main([str(image_file), "--model", "nope"])


def test_a_library_s_weights_are_saved_to_take_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    network, create = tiny_network(), timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *args, **kwargs: network if kwargs.get("pretrained") else create(*args, **kwargs)
    )
    target = tmp_path / "net.safetensors"

    checkpoint.main(["timm:resnet10t", "--save", str(target), "--model", "tsn_demo"])

    assert f"wrote {target}" in capsys.readouterr().out
    saved = weight_file.read(target)
    assert set(saved.tensors) == set(network.state_dict())
    assert saved.metadata[weight_file.ORIGIN]["name"] == "timm:resnet10t"


def test_it_runs_as_pipeline_pretrained(tmp_path: Path):
    command = [sys.executable, "-m", "pipeline.cli.checkpoint"]

    told = subprocess.run([*command, "--help"], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert told.returncode == 0
    assert "python -m pipeline.pretrained timm:resnet50 --save" in told.stdout

    failed = subprocess.run([*command, str(tmp_path / "none.pth")], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert "does not exist" in failed.stderr
    assert "Traceback" not in failed.stderr
