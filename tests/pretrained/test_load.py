"""What is loaded into which model, what stays at its start, and what is refused without a change."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
import torchvision
import yaml
from torch import Tensor, nn

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.layers.normalize import InputSpec
from pipeline.models import encoder, fast, r2plus1d, r3d, s3d, slow, slowfast, swin3d, tin, trn, tsm, tsn
from pipeline.pretrained import infer_config, weight_file
from pipeline.pretrained.load import load_pretrained
from pipeline.runtime.checkpoint import Checkpoint
from tests.support import checks, peers
from tests.support.golden.golden_io import fill

TINY = checks.TINY_2D
SMALL: dict[str, Any] = {"backbone": "resnet18", "backbone_options": {"channels": [8, 16, 32, 64]}}
PLAIN: dict[str, Any] = {"width": 64, "blocks": (1, 1, 1, 1), "block": "basic"}
SPEC = InputSpec((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_unchanged(model: nn.Module, before: dict[str, Tensor]) -> None:
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def saved(content: Any, folder: Path, name: str = "ckpt.pth") -> Path:
    return peers.write(folder / name, content)


def image_network(classes: int = 7) -> nn.Module:
    """The tiny ResNet of timm with a classifier."""
    return fill(timm.create_model(TINY["backbone"], num_classes=classes, **TINY["backbone_options"]))


def plain_resnet(classes: int = 7) -> dict[str, Tensor]:
    """A ResNet-18 of torchvision with a single block a stage."""
    network = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=classes)
    return fill(network).state_dict()


# Our own checkpoints


def own(model: nn.Module, folder: Path, arch: str, **options: Any) -> Path:
    classes = tuple(map(str, range(infer_config.classes(model.state_dict()))))
    options = options if arch == "slowfast" else {**TINY, **options}
    Checkpoint(fill(model).state_dict(), {"arch": arch, "options": options}, classes, SPEC).write(folder)
    return folder / "model.safetensors"


def test_a_checkpoint_of_ours_is_loaded_whole(tmp_path: Path):
    path = own(tsm.build(3, **TINY), tmp_path, "tsm")
    model = tsm.build(3, **TINY)

    report = load_pretrained(model, path)

    assert (report.source, report.input, dict(report.kept)) == ("ours", SPEC, {})
    assert report.entries == len(model.state_dict())
    assert_unchanged(model, fill(tsm.build(3, **TINY)).state_dict())


def test_another_number_of_classes_keeps_the_fresh_classifier_and_loads_the_rest(tmp_path: Path):
    path = own(tin.build(3, **TINY, frames=4), tmp_path, "tin")
    model = tin.build(5, **TINY, frames=4)
    before = state_of(model)

    report = load_pretrained(model, path)

    filled = fill(tin.build(3, **TINY, frames=4)).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name] if name.startswith("classifier.") else filled[name]), name
    assert (report.file_classes, report.model_classes, report.classifier_replaced) == (3, 5, True)
    assert dict(report.kept) == {"the file has 3 classes, the model 5": ("classifier.weight", "classifier.bias")}


def test_every_classifier_of_a_multi_scale_trn_is_replaced(tmp_path: Path):
    options = {**TINY, "frames": 4, "feature_dim": 8}
    path = own(trn.build(3, **options), tmp_path, "trn")

    report = load_pretrained(trn.build(5, **options), path)

    kept = report.kept["the file has 3 classes, the model 5"]
    assert kept == tuple(f"relation.scales.{i}.classifier.{leaf}" for i in range(3) for leaf in ("weight", "bias"))


# Image networks


@pytest.mark.parametrize("kind", [("rgb_difference", 15), ("flow", 10)], ids=lambda kind: kind[0])
@pytest.mark.parametrize("build", [tsn.build, tsm.build, tin.build])
def test_a_first_layer_of_colours_becomes_one_of_other_images_by_its_mean(build, kind, tmp_path: Path):
    name, channels = kind
    colours = image_network().state_dict()
    first = "conv1.0.weight"
    colours[first] = torch.zeros_like(colours[first])
    colours[first][0, :, 1, 2] = torch.tensor([0.3, 0.6, -0.3])
    colours[first][4, :, 0, 0] = torch.tensor([0.0, 0.0, 3.0])
    model = build(5, **TINY, frames=2, input=name)

    report = load_pretrained(model, saved(colours, tmp_path))

    loaded = model.state_dict()
    expected = torch.zeros(len(colours[first]), channels, 3, 3)
    expected[0, :, 1, 2] = 0.2
    expected[4, :, 0, 0] = 1.0
    torch.testing.assert_close(loaded[f"backbone.{first}"], expected)
    assert torch.equal(loaded["backbone.layer1.0.conv2.weight"], colours["layer1.0.conv2.weight"])
    assert report.averaged == (f"backbone.{first}",)
    assert f"  first layer backbone.{first}: its mean over red, green and blue" in str(report)
    pixels = {15: InputSpec((0.0,) * 3, (1.0,) * 3), 10: InputSpec((0.5, 0.5), (0.226, 0.226))}
    assert report.input == pixels[channels]


@pytest.mark.parametrize("kind", ["rgb_difference", "flow"])
def test_a_network_of_other_images_is_loaded_as_it_is_and_not_into_one_of_colours(kind, tmp_path: Path):
    peer = fill(tsn.build(5, **TINY, input=kind))
    path = own(peer, tmp_path, "tsn", input=kind)
    model = tsn.build(5, **TINY, input=kind)

    report = load_pretrained(model, path)

    assert not report.averaged
    assert "first layer" not in str(report)
    assert torch.equal(model.state_dict()["backbone.conv1.0.weight"], peer.state_dict()["backbone.conv1.0.weight"])
    with pytest.raises(UserError, match=rf"(?s)seems to be: tsn.*input {kind}.*Set input: {kind}"):
        load_pretrained(tsn.build(5, **TINY), path)


@pytest.mark.parametrize(
    ("build", "options", "added"),
    [
        (tsn.build, {}, r"^$"),
        (tsm.build, {"frames": 4}, r"^$"),
        (tsm.build, {"frames": 4, "place": "block"}, r"^$"),
        (tin.build, {"frames": 4}, r"\.temporal\."),
        (trn.build, {"frames": 4}, r"^projection\.|^relation\."),
    ],
)
@pytest.mark.parametrize("file", ["net.pth", "net.safetensors"])
def test_an_image_network_starts_a_2d_one(build, options, added: str, file: str, tmp_path: Path):
    network = image_network()
    path = tmp_path / file
    if file == "net.pth":
        torch.save(network.state_dict(), path)
    else:
        safetensors.torch.save_file(network.state_dict(), path, {"format": "pt"})
    model = build(5, **TINY, **options)
    before = state_of(model)

    report = load_pretrained(model, path)

    kept = {name for names in report.kept.values() for name in names}
    assert kept == {name for name in before if re.search(added, name) or name.startswith("classifier.")}
    for name, tensor in model.state_dict().items():
        origin = re.sub(r"\.conv1\.conv\.|\.block\.conv1\.", ".conv1.", name.removeprefix("backbone."))
        origin = re.sub(r"(layer\d\.\d)\.block\.", r"\1.", origin)
        assert torch.equal(tensor, before[name] if name in kept else network.state_dict()[origin]), name
    assert report.source == "timm"
    assert report.input == InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert not report.inflated


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (tsn.build, {}),
        (tsm.build, {}),
        (tsm.build, {"place": "block"}),
        (tin.build, {"shift_div": 2}),
        (trn.build, {}),
    ],
)
@pytest.mark.parametrize("name", ["mobilenetv2_035", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
def test_an_image_network_of_inverted_blocks_starts_a_2d_one(build, options, name: str, tmp_path: Path):
    network = timm.create_model(name)
    path = saved(network.state_dict(), tmp_path)
    model = build(5, backbone=name, frames=4, **options)

    report = load_pretrained(model, path)

    kept = {name for names in report.kept.values() for name in names}
    loaded = {name: tensor for name, tensor in model.state_dict().items() if name not in kept}
    names = [re.sub(r"\.conv_pw\.conv\.", ".conv_pw.", name.removeprefix("backbone.")) for name in loaded]
    names = [re.sub(r"(blocks\.\d\.\d)\.block\.", r"\1.", name) for name in names]
    assert sorted(names) == sorted(name for name in network.state_dict() if not name.startswith("classifier."))
    assert all(
        torch.equal(tensor, network.state_dict()[name]) for name, tensor in zip(names, loaded.values(), strict=True)
    )
    assert all(re.search(r"^classifier\.|\.temporal\.|^projection\.|^relation\.", name) for name in kept)


def test_non_local_blocks_stay_at_their_start(tmp_path: Path):
    with torch.device("meta"):
        state = torchvision.models.resnet50().state_dict()
    path = saved({name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in state.items()}, tmp_path)
    model = tsm.build(5, non_local=True)

    report = load_pretrained(model, path)

    added = report.kept["an image network has no such layer"]
    assert added
    assert all(".non_local." in name for name in added)
    assert report.entries + len(added) + 2 == len(model.state_dict())


def test_the_classifier_of_an_image_network_is_loaded_where_it_is_the_same(tmp_path: Path):
    network = image_network(classes=5)

    report = load_pretrained(model := tsn.build(5, **TINY), saved(network.state_dict(), tmp_path))

    assert not report.classifier_replaced
    assert torch.equal(model.classifier.weight, network.fc.weight)


@pytest.mark.parametrize(
    ("build", "options"),
    [(slow.build, PLAIN), (fast.build, PLAIN), (r3d.build, {"depth": 18, "blocks": (1, 1, 1, 1)})],
)
def test_a_resnet_is_inflated(build: Callable[..., nn.Module], options: dict[str, Any], tmp_path: Path):
    state = plain_resnet()
    model = build(5, **options)

    report = load_pretrained(model, saved(state, tmp_path))

    convolutions = [name for name, tensor in model.state_dict().items() if tensor.ndim == 5]
    assert set(report.inflated) == set(convolutions)
    for name in convolutions:
        weight, flat = model.state_dict()[name], state[name.removeprefix("backbone.")]
        torch.testing.assert_close(weight.sum(dim=2), flat)  # a clip of one repeated frame gives what the frame gave
        assert torch.equal(weight[:, :, 0], weight[:, :, -1])
    assert torch.equal(model.backbone.bn1.running_var, state["bn1.running_var"])


def test_a_file_of_another_architecture_is_told_so_and_nothing_of_its_options(tmp_path: Path):
    path = own(tin.build(5, **TINY, frames=4), tmp_path, "tin", frames=4)

    with pytest.raises(UserError) as told:
        load_pretrained(tsn.build(5, **TINY), path)

    assert [line for line in str(told.value).splitlines() if line.startswith("  Set ")] == [
        "  Set arch: tin (the model has tsn)."
    ]


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_a_frozen_network_takes_no_classifier_of_an_image_network_of_as_many_classes(head: str, tmp_path: Path):
    """As with the 1,000 of ImageNet, whose classifier reads other numbers than a head on features does."""
    model = encoder.build(7, **checks.TINY_VIT | {"head": head, "width": 64})
    start = state_of(model)
    weights = fill(timm.create_model("test_vit", num_classes=7)).state_dict()
    report = load_pretrained(model, saved(weights, tmp_path))
    assert "at start    the classifier: " in str(report)
    assert all(torch.equal(model.state_dict()[name], start[name]) for name in start if name.startswith("classifier."))
    assert torch.equal(model.state_dict()["backbone.norm.weight"], weights["norm.weight"])


def test_slowfast_cannot_start_from_an_image_network(tmp_path: Path):
    model = slowfast.build(5, **checks.TINY_SLOWFAST)
    before = state_of(model)

    with pytest.raises(UserError, match=r"fast path has no 2D counterpart.*take the model slow"):
        load_pretrained(model, saved(plain_resnet(), tmp_path))
    assert_unchanged(model, before)


def test_factored_convolutions_cannot_start_from_an_image_network(tmp_path: Path):
    with pytest.raises(UserError, match=r"seems to be: an image network.*\n.*The model is: r2plus1d"):
        load_pretrained(r2plus1d.build(5, depth=18, blocks=(1, 1, 1, 1)), saved(plain_resnet(), tmp_path))


def test_weights_of_a_library_keep_their_source_and_input_in_a_file(monkeypatch, tmp_path: Path):
    network = image_network()
    network.pretrained_cfg = {**network.pretrained_cfg, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    with monkeypatch.context() as patch:
        patch.setattr(timm, "create_model", lambda *_, **__: network)
        weight_file.read("timm:resnet10t").write(tmp_path / "net.safetensors")

    report = load_pretrained(tsn.build(5, **TINY), tmp_path / "net.safetensors")

    assert (report.source, report.input) == ("timm", SPEC)


# Checkpoints of video networks


def as_pyslowfast(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our SlowFast of basic blocks under PySlowFast's names."""
    rules = [
        (r"^laterals\.(\d)\.conv\.", lambda m: f"s{int(m[1]) + 1}_fuse.conv_f2s."),
        (r"^laterals\.(\d)\.bn\.", lambda m: f"s{int(m[1]) + 1}_fuse.bn."),
        (r"^(slow|fast)\.(conv|bn)1\.", lambda m: f"s1.pathway{int(m[1] == 'fast')}_stem.{m[2]}."),
        (r"^(slow|fast)\.layer(\d)\.", lambda m: f"s{int(m[2]) + 1}.pathway{int(m[1] == 'fast')}_res"),
        (r"\.conv(\d)\.", lambda m: f".branch2.{'abc'[int(m[1]) - 1]}."),
        (r"\.bn(\d)\.", lambda m: f".branch2.{'abc'[int(m[1]) - 1]}_bn."),
        (r"\.downsample\.0\.", ".branch1."),
        (r"\.downsample\.1\.", ".branch1_bn."),
        (r"^classifier\.", "head.projection."),
    ]
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901 - it is what becomes of the name
        renamed[name] = tensor
    return renamed


LINSPACE = {**checks.TINY_SLOWFAST, "fusion_norm": True, "slow_frames": "linspace", "head_bias": True}


def pyslowfast_file(folder: Path, classes: int = 5, **options: Any) -> Path:
    model = fill(slowfast.build(classes, **{**LINSPACE, **options}))
    return saved(peers.pyslowfast(as_pyslowfast(model.state_dict())), folder)


def test_a_slowfast_with_the_right_options_is_loaded(tmp_path: Path):
    report = load_pretrained(slowfast.build(5, **LINSPACE), pyslowfast_file(tmp_path))

    assert (report.source, report.classifier_replaced) == ("pyslowfast", False)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"fusion_kernel": 7}, r"Set fusion_kernel: 5 \(the model has 7\)"),
        ({"fusion_norm": False}, r"Set fusion_norm: true \(the model has false\)"),
        ({"head_bias": False}, r"Set head_bias: true \(the model has false\)"),
        ({"slow_frames": "strided"}, r"Set slow_frames: linspace \(the model has strided\)"),
        ({"blocks": (1, 1, 2, 1)}, r"blocks are 1-1-1-1 \(the model has 1-1-2-1\)"),
        ({"width": 32}, r"Set width: 16 \(the model has 32\)"),
    ],
)
def test_other_options_than_the_files_are_named(option: dict[str, Any], said: str, tmp_path: Path):
    model = slowfast.build(5, **{**LINSPACE, **option})
    before = state_of(model)

    with pytest.raises(UserError, match=said):
        load_pretrained(model, pyslowfast_file(tmp_path))
    assert_unchanged(model, before)


PYSLOWFAST_CFG = {
    "DATA": {"NUM_FRAMES": 32, "SAMPLING_RATE": 2},
    "MODEL": {"ARCH": "slowfast", "NUM_CLASSES": 400},
    "SLOWFAST": {"ALPHA": 8, "BETA_INV": 8, "FUSION_CONV_CHANNEL_RATIO": 2, "FUSION_KERNEL_SZ": 5},
}
"""Of its SLOWFAST_4x16_R50.yaml, as its checkpoints hold the whole as a text."""


@pytest.mark.parametrize("flow", [False, None], ids=["block", "mixed"])  # by the version of PyYAML
def test_alpha_is_compared_where_a_file_of_pyslowfast_has_its_settings(flow: bool | None, tmp_path: Path):
    state, cfg = (
        fill(slowfast.build(5, **LINSPACE)).state_dict(),
        yaml.safe_dump(PYSLOWFAST_CFG, default_flow_style=flow),
    )
    path = saved(peers.pyslowfast(as_pyslowfast(state), cfg), tmp_path)

    with pytest.raises(UserError, match=r"Set alpha: 8 \(the model has 4\)"):
        load_pretrained(slowfast.build(5, **LINSPACE), path)
    assert load_pretrained(slowfast.build(5, **LINSPACE, alpha=8), path).entries == len(state)

    weight_file.read(path).write(tmp_path / "copy.safetensors")
    with pytest.raises(UserError, match=r"Set alpha: 8 \(the model has 4\)"):
        load_pretrained(slowfast.build(5, **LINSPACE), tmp_path / "copy.safetensors")


@pytest.mark.parametrize(
    "cfg", ["", "SLOWFAST: {}", "SLOWFAST: 3", "SLOWFAST: {ALPHA: x}", ": [", "- 1", "a: 2024-99-99"]
)
def test_settings_that_do_not_say_alpha_compare_nothing(cfg: str, tmp_path: Path):
    state = fill(slowfast.build(5, **LINSPACE)).state_dict()
    path = saved(peers.pyslowfast(as_pyslowfast(state), cfg), tmp_path)
    assert load_pretrained(slowfast.build(5, **LINSPACE, alpha=8), path).entries == len(state)


def test_a_strided_file_needs_a_strided_model(tmp_path: Path):
    path = own(slowfast.build(5, **checks.TINY_SLOWFAST), tmp_path, "slowfast", **checks.TINY_SLOWFAST)

    with pytest.raises(UserError, match=r"Set slow_frames: strided \(the model has linspace\)"):
        load_pretrained(slowfast.build(5, **checks.TINY_SLOWFAST, slow_frames="linspace"), path)


def test_a_replaced_classifier_need_not_have_a_bias(tmp_path: Path):
    report = load_pretrained(slowfast.build(3, **{**LINSPACE, "head_bias": False}), pyslowfast_file(tmp_path))

    assert report.classifier_replaced


def as_x_temporal(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our TSM or TIN under X-Temporal's names."""
    wrapped = ".conv1.net2." if any(".temporal." in name for name in state) else ".conv1.net."
    words = {
        ".conv1.conv.": wrapped,
        ".temporal.offset_net.conv.": ".net1.biasnet.net.conv.",
        ".temporal.offset_net.hidden.": ".net1.biasnet.net.fc.",
        ".temporal.offset_net.out.": ".net1.biasnet.net.lastlayer.",
        ".temporal.weight_net.": ".net1.weightnet.net.lastlayer.",
        "backbone.": "base_model.",
        "classifier.": "new_fc.",
    }
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)  # noqa: PLW2901 - it is what becomes of the name
        renamed[name] = tensor
    return renamed


def test_layers_called_fc_within_tin_are_not_taken_for_the_classifier(tmp_path: Path):
    filled = fill(tin.build(7, **TINY, frames=4)).state_dict()
    state = as_x_temporal(filled)
    assert sum(".net.fc." in name for name in state) == 2 * 4
    model = tin.build(5, **TINY, frames=4)

    report = load_pretrained(model, saved(peers.x_temporal_parallel(state), tmp_path))

    assert dict(report.kept) == {"the file has 7 classes, the model 5": ("classifier.weight", "classifier.bias")}
    assert all(torch.equal(t, filled[name]) for name, t in model.state_dict().items() if "classifier" not in name)


def test_layers_called_fc_within_a_senet_are_not_taken_for_the_classifier(tmp_path: Path):
    network = fill(timm.create_model("legacy_seresnet18", num_classes=7))
    model = tsn.build(5, backbone="legacy_seresnet18")

    report = load_pretrained(model, saved(network.state_dict(), tmp_path))

    assert report.classifier_replaced
    assert torch.equal(model.backbone.layer4[1].se_module.fc2.weight, network.layer4[1].se_module.fc2.weight)


@pytest.mark.parametrize(("theirs", "ours"), [(1, 2), (2, 1)])
def test_another_rule_of_shifted_blocks_is_named(theirs: int, ours: int, tmp_path: Path):
    path = saved(peers.x_temporal(as_x_temporal(fill(tsm.build(5, **SMALL, every=theirs)).state_dict())), tmp_path)
    load_pretrained(tsm.build(5, **SMALL, every=theirs), path)

    with pytest.raises(UserError, match=rf"Set every: {theirs} \(the model has {ours}\)"):
        load_pretrained(tsm.build(5, **SMALL, every=ours), path)


def test_tin_of_another_number_of_frames_is_named(tmp_path: Path):
    path = own(tin.build(5, **TINY, frames=8), tmp_path, "tin")

    with pytest.raises(UserError, match=r"Set frames: 8 \(the model has 4\)"):
        load_pretrained(tin.build(5, **TINY, frames=4), path)


def test_a_file_of_another_architecture_lists_a_dozen_and_the_counts(tmp_path: Path):
    path = own(tin.build(5, **TINY, frames=4), tmp_path, "tin")
    model = tsn.build(5, **TINY)
    before = state_of(model)

    with pytest.raises(UserError, match=r"seems to be: tin.*\n.*The model is: tsn") as caught:
        load_pretrained(model, path)

    assert_unchanged(model, before)
    lines = {line.split(":")[0].strip(): line for line in str(caught.value).splitlines()}
    assert "4 entries are missing from the file" in lines
    unexpected = lines["36 entries are without a place in the model"]
    assert unexpected.count("backbone.") == 12
    assert unexpected.endswith("and 24 more.")


def test_a_file_with_a_gap_changes_nothing(tmp_path: Path):
    state = as_pyslowfast(fill(slowfast.build(5, **LINSPACE)).state_dict())
    del state["s3_fuse.bn.running_var"]
    model = slowfast.build(5, **LINSPACE)
    before = state_of(model)

    with pytest.raises(UserError, match=r"1 entries are missing from the file: laterals\.2\.bn\.running_var\."):
        load_pretrained(model, saved(peers.pyslowfast(state), tmp_path))
    assert_unchanged(model, before)


def test_old_files_without_counters_are_fine(tmp_path: Path):
    state = {name: tensor for name, tensor in plain_resnet().items() if not name.endswith("num_batches_tracked")}

    report = load_pretrained(slow.build(5, **PLAIN), saved(state, tmp_path))

    counters = report.kept["the file does not have it, as in old programs"]
    assert counters
    assert all(name.endswith("num_batches_tracked") for name in counters)


# Sources


def test_a_file_of_no_source_lists_all(tmp_path: Path):
    with pytest.raises(UserError, match=r"no known source.*strange\.weight") as caught:
        load_pretrained(tsn.build(5, **TINY), saved({"strange.weight": torch.ones(1)}, tmp_path))
    assert all(name in str(caught.value) for name in registry.names("pretrained/importers"))


def test_a_file_of_two_sources_lists_both(tmp_path: Path):
    state = {"cls_head.fc_cls.weight": torch.ones(1), "base_model.conv1.weight": torch.ones(1)}

    with pytest.raises(UserError, match=r"could be of mmaction2 or x_temporal.*--source"):
        load_pretrained(tsn.build(5, **TINY), saved(state, tmp_path))


def test_a_source_can_be_named(tmp_path: Path):
    path = saved(plain_resnet(5), tmp_path)

    assert load_pretrained(slow.build(5, **PLAIN), path, source="torchvision").source == "torchvision"
    with pytest.raises(UserError, match="'torchvison'.*Did you mean 'torchvision'"):
        load_pretrained(slow.build(5, **PLAIN), path, source="torchvison")


@pytest.mark.parametrize(
    "broken",
    [
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.double() + 1e300,
        lambda tensor: tensor.long(),
        lambda tensor: tensor * float("nan"),
        lambda tensor: torch.zeros(tensor.shape, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    ],
)
def test_tensors_that_hold_no_finite_numbers_of_the_models_type_are_named(broken, tmp_path: Path):
    state = image_network().state_dict()
    state["conv1.0.weight"] = broken(state["conv1.0.weight"])
    with pytest.raises(UserError, match=r"1 entries are no finite floating-point numbers: backbone\.conv1\.0\.weight"):
        load_pretrained(tsn.build(7, **TINY), saved(state, tmp_path))


@pytest.mark.parametrize("kind", [torch.complex64, torch.uint16])
def test_the_type_of_numbers_that_no_model_has_is_named_and_no_object_beside_them(kind, tmp_path: Path):
    state = image_network().state_dict()
    state["conv1.0.weight"] = state["conv1.0.weight"].to(kind)
    with pytest.raises(UserError, match=rf"numbers: backbone\.conv1\.0\.weight \({kind}\)"):
        load_pretrained(tsn.build(7, **TINY), saved({"state_dict": state, "args": argparse.Namespace()}, tmp_path))


def test_the_report_says_all_in_a_few_lines(tmp_path: Path):
    path = saved(plain_resnet(7), tmp_path)

    said = str(load_pretrained(slow.build(5, **PLAIN), path))

    for part in (
        str(path),
        "torchvision",
        "7 classes in the file, 5 in the model",
        "inflated",
        "mean (0.485",
        "sha256",
    ):
        assert part in said
    assert len(said.splitlines()) <= 8


# Classes by name


def classifier_of(classes: tuple[str, ...], tmp_path: Path, name: str = "named") -> Path:
    """A file of ours whose classifier has the row i, i, ... for the class i."""
    network = tsn.build(len(classes), **TINY)
    state = fill(network).state_dict()
    state["classifier.weight"] = torch.arange(len(classes)).float()[:, None].expand_as(state["classifier.weight"])
    state["classifier.bias"] = 10 * torch.arange(len(classes)).float()
    folder = tmp_path / name
    Checkpoint(state, {"arch": "tsn", "options": TINY}, classes, SPEC).write(folder)
    return folder / "model.safetensors"


def test_rows_of_the_classifier_go_by_the_names_of_the_classes(tmp_path: Path):
    model = tsn.build(3, **TINY)
    report = load_pretrained(model, classifier_of(("run", "jump", "fly"), tmp_path), classes=("fly", "run", "jump"))
    assert model.state_dict()["classifier.bias"].tolist() == [20, 0, 10]
    assert model.state_dict()["classifier.weight"][:, 0].tolist() == [2, 0, 1]
    assert report.named == "3 of 3 classes by their names"
    assert "  classes     3 of 3 classes by their names" in str(report).splitlines()


def test_new_classes_start_fresh_and_lost_ones_are_named(tmp_path: Path):
    model = tsn.build(4, **TINY)
    start = state_of(model)["classifier.bias"]
    path = classifier_of(("run", "jump", "fly"), tmp_path)
    report = load_pretrained(model, path, classes=("climb", "jump", "run", "swim"))
    found = model.state_dict()["classifier.bias"]
    assert found[1:3].tolist() == [10, 0]
    assert torch.equal(found[[0, 3]], start[[0, 3]])
    assert report.named == (
        "2 of 4 classes by their names; new, and at their start: 'climb', 'swim'; in the file alone: 'fly'"
    )
    assert (report.file_classes, report.model_classes, report.classifier_replaced) == (3, 4, False)


def test_a_file_with_none_of_the_classes_leaves_the_classifier_fresh(tmp_path: Path):
    model = tsn.build(2, **TINY)
    start = state_of(model)["classifier.weight"]
    report = load_pretrained(model, classifier_of(("run", "jump"), tmp_path), classes=("cat", "dog"))
    assert torch.equal(model.state_dict()["classifier.weight"], start)
    assert list(report.kept) == ["no class of the file is one of the model's"]


def test_the_same_classes_in_the_same_order_need_no_word(tmp_path: Path):
    model = tsn.build(2, **TINY)
    report = load_pretrained(model, classifier_of(("run", "jump"), tmp_path), classes=("run", "jump"))
    assert (report.named, model.state_dict()["classifier.bias"].tolist()) == ("", [0, 10])


def test_a_file_that_names_no_classes_is_taken_in_order_and_that_is_said(tmp_path: Path):
    network = tsn.build(3, **TINY)
    path = saved(peers.x_temporal_parallel(as_x_temporal(fill(network).state_dict())), tmp_path)
    report = load_pretrained(tsn.build(3, **TINY), path, classes=("run", "jump", "fly"))
    assert report.named == "the file names no classes: they are taken to be the model's, in the model's order"
    assert load_pretrained(tsn.build(4, **TINY), path, classes=tuple("abcd")).named == ""


def test_every_classifier_of_a_multi_scale_trn_goes_by_name(tmp_path: Path):
    options = {**TINY, "frames": 4, "feature_dim": 8}
    path = own(trn.build(2, **options), tmp_path, "trn")  # of the classes "0" and "1"
    model = trn.build(2, **options)
    load_pretrained(model, path, classes=("1", "0"))
    filled = fill(trn.build(2, **options)).state_dict()
    for name, tensor in model.state_dict().items():
        wanted = filled[name].flip(0) if infer_config.is_classifier(name) else filled[name]
        assert torch.equal(tensor, wanted), name


# Video networks of torchvision


def test_rows_of_kinetics_go_by_name_and_other_counts_start_fresh(tmp_path: Path):
    peer = fill(torchvision.models.video.s3d())
    path = saved(peer.state_dict(), tmp_path)
    model = s3d.build(3)
    start = state_of(model)["classifier.weight"]

    report = load_pretrained(model, path, classes=("fetching", "archery", "abseiling"))

    rows = peer.classifier[1].weight.flatten(1)
    assert torch.equal(model.state_dict()["classifier.weight"], torch.stack([start[0], rows[5], rows[0]]))
    assert report.named.startswith(
        "2 of 3 classes by their names; new, and at their start: 'fetching'; in the file alone: "
    )
    assert report.input == s3d.INPUT

    few = saved(torchvision.models.video.s3d(num_classes=7).state_dict(), tmp_path)
    assert load_pretrained(s3d.build(3), few, classes=("fetching", "archery", "abseiling")).classifier_replaced


def test_weights_that_torchvision_fetched_keep_their_source(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: torchvision.models.video.s3d())
    weight_file.read("torchvision:s3d").write(tmp_path / "s3d.safetensors")

    report = load_pretrained(s3d.build(3), tmp_path / "s3d.safetensors", classes=("archery", "yoga", "abseiling"))

    assert (report.source, report.input, report.named[:6]) == ("torchvision", s3d.INPUT, "3 of 3")


def test_a_table_of_positions_of_another_window_is_refused(tmp_path: Path):
    path = saved(torchvision.models.video.swin3d_t().state_dict(), tmp_path)
    with pytest.raises(UserError, match="seems to be: swin3d.*24 entries|12 entries are of another shape"):
        load_pretrained(swin3d.build(3, window=(16, 7, 7)), path)
