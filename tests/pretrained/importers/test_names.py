"""Every entry of a checkpoint has one place in the model and every entry of the model one in the file.

For networks of which no golden file holds the logits, the peer's names are derived from those of one that does.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import timm
import torch
from torch import nn

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.models import fast, r2plus1d, r3d, slow, slowfast, tin, trn, tsm, tsn
from pipeline.pretrained import weight_file
from pipeline.pretrained.weight_file import Weights
from tests.support import peers
from tests.support.peers import golden_names

LINSPACE = {"fusion_norm": True, "slow_frames": "linspace", "head_bias": True}


def deeper(names: Iterable[str], block: str, count: int = 23) -> list[str]:
    """With as many blocks in a stage, the new ones named like `block`, which is the last of them."""
    names = list(names)
    last = int(re.search(r"\d+$", block)[0])
    new = [
        name.replace(block, block.removesuffix(str(last)) + str(number), 1)
        for number in range(last + 1, count)
        for name in names
        if name.startswith(f"{block}.")
    ]
    return names + new


def tsm_r101_of_the_repository() -> list[str]:
    """Blocks 1, 3, 5, ... are not shifted, so that their first convolution is not wrapped."""
    names = deeper(golden_names("tsm_r50_8f"), "base_model.layer3.5")
    return [re.sub(r"(layer\d\.\d*[13579]\.conv1)\.net\.", r"\1.", name) for name in names]


def single_path(names: Iterable[str], slow: str, fast: str, lateral: str) -> list[str]:
    """The names of the slow path."""
    return [re.sub(slow, "", name) for name in names if not re.search(f"{fast}|{lateral}", name)]


def pyslowfast_single() -> list[str]:
    return single_path(golden_names("psf_slowfast_8x8_r50"), "^$", "pathway1", "_fuse")


def pyslowfast_non_local() -> list[str]:
    parts = golden_names("psf_nonlocal_softmax")
    places = [("s3", 1), ("s3", 3), ("s4", 1), ("s4", 3), ("s4", 5)]
    added = [f"{stage}.pathway0_nonlocal{block}.{part}" for stage, block in places for part in parts]
    return pyslowfast_single() + added


def pyslowfast_r101() -> list[str]:
    names = golden_names("psf_slowfast_8x8_r50")
    for path in (0, 1):
        names = deeper(names, f"s4.pathway{path}_res5")
    return names


def pytorchvideo_slow() -> list[str]:
    names = golden_names("ptv_slowfast_r50")
    names = single_path(names, r"multipathway_blocks\.0\.", r"multipathway_blocks\.1", "fusion")
    return [name.replace("blocks.6.proj", "blocks.5.proj") for name in names]


def mmaction_tsm() -> list[str]:
    names = [name for name in golden_names("mma_tin_r50_8f") if ".net1." not in name]
    return [name.replace(".net2.", ".net.") for name in names]


def mmaction_tsn() -> list[str]:
    return [name.replace(".net.", ".") for name in mmaction_tsm()]


def x_temporal_slowfast_r101() -> list[str]:
    names = golden_names("xt_sfresnet50_8x8")
    for path in ("slow", "fast"):
        names = deeper(names, f"{path}_res4.5")
    return names


def trn_on_resnet(head: str) -> list[str]:
    backbone = [name for name in golden_names("tsn_r50_5f") if not name.startswith("new_fc")]
    return [*backbone, "new_fc.weight", "new_fc.bias", *(f"consensus.{name}" for name in golden_names(head))]


def inception_resnet() -> list[str]:
    with torch.device("meta"):
        names = timm.create_model("inception_resnet_v2").state_dict()
    return [name.replace("classif.", "last_linear.") for name in names]


def without_dropout() -> list[str]:
    return [name.replace("new_fc.", "base_model.fc.") for name in golden_names("tin_r50_8f")]


def shifted_blocks() -> list[str]:
    return [re.sub(r"(layer\d\.\d+)\.conv1\.net\.", r"\1.conv1.", n) for n in golden_names("tsm_r50_8f")]


def place_block() -> list[str]:
    return [re.sub(r"(layer\d\.\d+)\.", r"\1.net.", name) for name in shifted_blocks()]


def caffe2(names: Iterable[str]) -> list[str]:
    return [peers.caffe2_name(name) for name in names if not name.endswith("num_batches_tracked")]


R101 = {"backbone": "resnet101"}
CASES: dict[str, tuple[str, Callable[[], list[str]], Callable[..., nn.Module], dict[str, Any]]] = {
    "tsm r101 of X-Temporal": (
        *("x_temporal", lambda: deeper(golden_names("tsm_r50_8f"), "base_model.layer3.5")),
        *(tsm.build, R101),
    ),
    "tsm r101 of the repository": ("x_temporal", tsm_r101_of_the_repository, tsm.build, {**R101, "every": 2}),
    "tin r101": ("x_temporal", lambda: deeper(golden_names("tin_r50_8f"), "base_model.layer3.5"), tin.build, R101),
    "tin without dropout": ("x_temporal", without_dropout, tin.build, {}),
    "tsm of whole blocks": ("x_temporal", place_block, tsm.build, {"place": "block"}),
    "slowfast r101 of X-Temporal": ("x_temporal", x_temporal_slowfast_r101, slowfast.build, {"depth": 101}),
    "r3d": ("x_temporal", lambda: golden_names("xt_resnet3D18"), r3d.build, {}),
    "r(2+1)d": ("x_temporal", lambda: golden_names("xt_stresnet18_maxpool"), r2plus1d.build, {}),
    "trn": ("trn", lambda: trn_on_resnet("trn_single_8f"), trn.build, {"multiscale": False}),
    "multi-scale trn": ("trn", lambda: trn_on_resnet("trn_multiscale_8f"), trn.build, {"multiscale": True}),
    "slowfast r101": ("pyslowfast", pyslowfast_r101, slowfast.build, {**LINSPACE, "depth": 101}),
    "slow": ("pyslowfast", pyslowfast_single, slow.build, {}),
    "fast": ("pyslowfast", pyslowfast_single, fast.build, {}),
    "non-local slow": ("pyslowfast", pyslowfast_non_local, slow.build, {"non_local": True}),
    "slow of Caffe2": ("caffe2", lambda: caffe2(pyslowfast_single()), slow.build, {}),
    "non-local slow of Caffe2": ("caffe2", lambda: caffe2(pyslowfast_non_local()), slow.build, {"non_local": True}),
    "slow of pytorchvideo": ("pytorchvideo", pytorchvideo_slow, slow.build, {}),
    "tsn of mmaction2": ("mmaction2", mmaction_tsn, tsn.build, {}),
    "tsm of mmaction2": ("mmaction2", mmaction_tsm, tsm.build, {}),
    "slow of mmaction2": (
        *("mmaction2", lambda: single_path(golden_names("mma_slowfast_r50_8x8"), "slow_path.", "fast_path", "lateral")),
        *(slow.build, {}),
    ),
    "inception-resnet-v2": ("cadene", inception_resnet, tsn.build, {"backbone": "inception_resnet_v2"}),
}


def held(names: Iterable[str], container: str = "model") -> Weights:
    """Weights of no values: importers go by names."""
    return Weights({name: torch.empty(0) for name in names}, container, (), sha256="")


@pytest.mark.parametrize("case", CASES)
def test_names_are_the_models_one_to_one(case: str):
    source, names, build, options = CASES[case]
    peers_names = names()
    with torch.device("meta"):
        model = build(5, **options)

    ours = registry.find("pretrained/importers", source).translate(held(peers_names)).tensors

    wanted = set(model.state_dict())
    if source == "caffe2":
        wanted = {name for name in wanted if not name.endswith("num_batches_tracked")}
    assert len(set(peers_names)) == len(ours)
    assert set(ours) == wanted


@pytest.mark.parametrize("size", [0, 1, 2])
def test_the_blocks_of_efficientnet_lites_find_their_stages(size: int):
    weights = weight_file.read(f"efficientnet_lite:tf_efficientnet_lite{size}")
    with torch.device("meta"):
        model = tsn.build(1000, backbone=f"tf_efficientnet_lite{size}")

    ours = registry.find("pretrained/importers", "efficientnet_lite").translate(weights).tensors

    assert {name: x.shape for name, x in ours.items()} == {name: x.shape for name, x in model.state_dict().items()}
    plain = Weights(weights.tensors, "", wrappers=(), sha256="")
    known = registry.names("pretrained/importers")
    assert [n for n in known if registry.find("pretrained/importers", n).recognises(plain)] == ["efficientnet_lite"]


SHOWN_BY_SHAPES = {"r3d", "r(2+1)d", "slowfast r101 of X-Temporal"}


@pytest.mark.parametrize("case", sorted(CASES.keys() - SHOWN_BY_SHAPES))
def test_exactly_one_importer_recognises_the_names(case: str):
    source, names, *_ = CASES[case]
    weights = held(names())

    assert [
        n
        for n in registry.names("pretrained/importers")
        if registry.find("pretrained/importers", n).recognises(weights)
    ] == [source]


def test_the_repositories_of_tsm_and_tin_wrap_every_name():
    names = golden_names("tsm_r50_8f")
    tsms, x_temporals = (
        registry.find("pretrained/importers", "tsm"),
        registry.find("pretrained/importers", "x_temporal"),
    )
    empty = {name: torch.empty(0) for name in names}

    wrapped = Weights(empty, "state_dict", wrappers=("module.",), sha256="")
    assert (tsms.recognises(wrapped), x_temporals.recognises(wrapped)) == (True, False)
    for container, parallel in (("model", True), ("model", False), ("state_dict", False)):
        other = Weights(empty, container, wrappers=("module.",) * parallel, sha256="")
        assert (tsms.recognises(other), x_temporals.recognises(other)) == (False, True)


def test_mmaction2_has_the_fast_features_first():
    names = ["backbone.fast_path.layer4.0.downsample.bn.weight", "cls_head.fc_cls.weight"]
    tensors = dict(zip(names, [torch.zeros(2), torch.tensor([[1.0, 2, 3, 4, 5]])], strict=True))
    weights = Weights(tensors, "state_dict", wrappers=(), sha256="")

    ours = registry.find("pretrained/importers", "mmaction2").translate(weights).tensors

    assert ours["classifier.weight"].tolist() == [[3, 4, 5, 1, 2]]


def test_inception_resnet_loses_the_background_class_and_nothing_else():
    cadene = registry.find("pretrained/importers", "cadene")
    for rows, kept in ((1001, 1000), (313, 313)):
        tensors = {name: torch.zeros(0) for name in inception_resnet()}
        tensors |= {"last_linear.weight": torch.arange(rows).view(-1, 1), "last_linear.bias": torch.arange(rows)}
        ours = cadene.translate(Weights(tensors, "", wrappers=(), sha256=""))

        first = rows - kept
        assert ours.tensors["classifier.weight"].flatten().tolist() == list(range(first, rows))
        assert ours.tensors["classifier.bias"].tolist() == list(range(first, rows))
        assert ours.input.mean == ours.input.std == (0.5, 0.5, 0.5)


def test_bninception_is_refused_by_name():
    weights = held(["base_model.conv1_7x7_s2.weight", "new_fc.weight", "consensus.classifier.1.weight"])

    with pytest.raises(UserError, match=r"BNInception, which timm does not have"):
        registry.find("pretrained/importers", "trn").translate(weights)


def test_two_shifts_a_block_are_refused():
    weights = held(["base_model.layer1.0.conv1.net.weight", "base_model.layer1.0.conv2.net.weight"])

    with pytest.raises(UserError, match="second convolution"):
        registry.find("pretrained/importers", "tsm").translate(weights)


def test_two_entries_of_one_name_are_refused():
    weights = held(["base_model.fc.weight", "new_fc.weight"])

    with pytest.raises(UserError, match=r"'new_fc.weight'.*both are 'classifier.weight'"):
        registry.find("pretrained/importers", "x_temporal").translate(weights)


@pytest.mark.parametrize(
    "name", ["resnet10t", "resnetv2_50", "efficientnet_b0", "inception_resnet_v2", "vgg11", "regnety_002"]
)
def test_timms_own_names_are_told_from_all_others(name: str):
    with torch.device("meta"):
        weights = Weights(timm.create_model(name).state_dict(), "", wrappers=(), sha256="")
        model = tsn.build(1000, backbone=name)

    assert [
        n
        for n in registry.names("pretrained/importers")
        if registry.find("pretrained/importers", n).recognises(weights)
    ] == ["timm"]
    assert set(registry.find("pretrained/importers", "timm").translate(weights).tensors) == set(model.state_dict())
