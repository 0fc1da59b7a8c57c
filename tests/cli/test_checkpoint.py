"""`pipeline checkpoint`: what a checkpoint is and what it fits."""

from pathlib import Path

import pytest
import timm
import torch
import yaml

from pipeline.cli import compose
from pipeline.core.errors import UserError
from pipeline.pretrained import weight_file
from tests.support import peers
from tests.support.command import call

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
    call("checkpoint", image_file)

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
    call("checkpoint", image_file, "--model", "tin_demo", "--classes", "9")

    said = capsys.readouterr().out
    assert "1000 classes in the file, 9 in the model" in said
    assert ".temporal." in said


@pytest.mark.parametrize(
    ("where", "backbone"),
    [
        ("efficientnet_lite:tf_efficientnet_lite1", "tf_efficientnet_lite1"),
        ("mobilenetv3_small_050.pth", "mobilenetv3_small_050"),
    ],
)
def test_a_file_that_no_config_takes_is_told_the_backbone_that_would(where, backbone, tmp_path, capsys):
    if where.endswith(".pth"):
        where = peers.write(tmp_path / where, timm.create_model(backbone).state_dict())

    call("checkpoint", where)

    said = capsys.readouterr().out
    assert f"no model of conf/model as it stands; it would with arch: trn, backbone: {backbone}, e.g." in said
    command = said.partition("pipeline params ")[2].split()
    composed = yaml.safe_load(compose.text(ROOT / "conf", command))
    assert composed["models"]["trn_r50"]["options"]["backbone"] == backbone
    assert composed["models"]["trn_r50"]["watch"] == str(where)


def test_the_classes_are_those_of_the_corpus_here(image_file, monkeypatch, tmp_path, capsys):
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/classes.txt").write_text("a\nb\nc\n")
    monkeypatch.chdir(tmp_path)

    call("checkpoint", image_file, "--model", "tin_demo")

    said = capsys.readouterr().out
    assert "1000 classes in the file, 3 in the model" in said
    assert "at start    the temporal modules: backbone." in said
    assert "at start    the classifier: classifier.weight, classifier.bias (the file has 1000 classes" in said


def test_a_model_that_does_not_fit_or_exist_is_an_error(image_file: Path):
    with pytest.raises(UserError, match="does not fit the model"):
        call("checkpoint", image_file, "--model", "tsn_r101")
    with pytest.raises(UserError, match=r"no model 'nope'.*tsn_demo"):
        call("checkpoint", image_file, "--model", "nope")


def test_a_library_s_weights_are_saved_to_take_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    network, create = tiny_network(), timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *args, **kwargs: network if kwargs.get("pretrained") else create(*args, **kwargs)
    )
    target = tmp_path / "net.safetensors"

    call("checkpoint", "timm:resnet10t", "--save", target, "--model", "tsn_demo")

    assert f"wrote {target}" in capsys.readouterr().out
    saved = weight_file.read(target)
    assert set(saved.tensors) == set(network.state_dict())
    assert saved.metadata[weight_file.ORIGIN]["name"] == "timm:resnet10t"


@pytest.mark.parametrize("classes", ["0", "-3", "many"])
def test_a_number_of_classes_that_no_model_has_is_a_usage_error(capsys: pytest.CaptureFixture[str], classes: str):
    with pytest.raises(SystemExit, match="2"):
        call("checkpoint", "net.pth", "--classes", classes)
    assert f"argument --classes: '{classes}' is no whole number of at least 1" in capsys.readouterr().err
