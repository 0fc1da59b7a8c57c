"""Backbones from timm, and the insertion of temporal modules."""

from functools import partial
from typing import Any

import pytest
import torch
from timm.models._efficientnet_blocks import EdgeResidual, InvertedResidual
from torch import Tensor, nn

from pipeline.layers.backbone import build_backbone, feature_width, insert_non_local, insert_temporal, residual_stages
from pipeline.layers.non_local import NonLocal
from tests.support.golden import golden_io, keys

TINY = {"stem_width": 8, "channels": [16, 32, 48, 64]}


class Times(nn.Module):
    """Multiply, and remember for how many channels it was made."""

    def __init__(self, factor: float, channels: int) -> None:
        super().__init__()
        self.factor = factor
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def meta_backbone(name: str, **options: Any) -> nn.Module:
    """A backbone without memory for its weights."""
    with torch.device("meta"):
        return build_backbone(name, **options)


def inserted(backbone: nn.Module) -> dict[str, int]:
    """Where temporal modules are, and for how many channels."""
    return {name: module.channels for name, module in backbone.named_modules() if isinstance(module, Times)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "peer", "classifier"),
    [("resnet50", "tv_resnet50", "fc"), ("legacy_senet154", "cadene_senet154", "last_linear")],
)
def test_names_and_features_are_those_of_the_public_weights(name: str, peer: str, classifier: str):
    golden = keys.read(peer)
    weights = keys.weights(peer, [])
    weight, bias = weights.pop(f"{classifier}.weight"), weights.pop(f"{classifier}.bias")
    backbone = build_backbone(name).eval()
    backbone.load_state_dict(weights)

    with torch.inference_mode():
        logits = backbone(golden_io.make_input(golden["meta"]["input"][0]["shape"])) @ weight.T + bias

    torch.testing.assert_close(logits, golden["logits"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "width"),
    [
        ("resnet50", {}, 2048),
        ("legacy_senet154", {}, 2048),
        ("inception_resnet_v2", {}, 1536),
        ("mobilenetv2_100", {}, 1280),
        ("mobilenetv3_small_050", {}, 1024),  # widens after its pooling, 288 before
        ("mobilenetv3_large_100", {}, 1280),  # 960 before
        ("efficientnet_b0", {}, 1280),
        ("tf_efficientnet_lite0", {}, 1280),
        ("resnet10t", TINY, 64),
        ("resnet10t", TINY | {"global_pool": "catavgmax"}, 128),
    ],
)
def test_the_width_is_that_of_the_features(name: str, options: dict[str, Any], width: int):
    backbone = meta_backbone(name, **options).eval()

    assert feature_width(backbone) == width
    assert backbone(torch.empty(2, 3, 96, 96, device="meta")).shape == (2, width)


def test_the_backbone_has_no_dropout_of_its_own():
    assert meta_backbone("legacy_senet154").drop_rate == 0  # timm's default is 0.2


def test_a_misspelt_backbone_is_told_the_right_name():
    with pytest.raises(ValueError, match=r"no backbone 'resnet5O'\. Did you mean .*resnet50"):
        build_backbone("resnet5O")


@pytest.mark.parametrize("option", ["pretrained", "checkpoint_path", "num_classes", "drop_rate"])
def test_options_that_are_not_the_backbones_are_refused(option: str):
    with pytest.raises(ValueError, match=f"'resnet10t' may not set '{option}'"):
        build_backbone("resnet10t", **{option: True})


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("resnet50", [3, 4, 6, 3]), ("resnet101", [3, 4, 23, 3]), ("legacy_senet154", [3, 8, 36, 3])],
)
def test_residual_blocks_come_stage_by_stage(name: str, blocks: list[int]):
    stages = residual_stages(meta_backbone(name))

    assert [len(stage) for stage, _ in stages] == blocks
    assert [places for _, places in stages] == [dict.fromkeys(range(count), "conv1") for count in blocks]


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv3_small_050", "efficientnet_b0", "efficientnet_es"),
        *("tf_efficientnet_lite0", "efficientnetv2_rw_t", "fbnetc_100"),
    ],
)
@pytest.mark.parametrize("place", ["blockres", "block"])
def test_inverted_blocks_with_an_expansion_and_a_shortcut_get_a_module_and_no_other(name: str, place: str):
    backbone = meta_backbone(name).eval()
    kept_shape: dict[str, int] = {}  # a shortcut is where the output is of the input's shape

    def remember(path: str, block: nn.Module, x: tuple[Tensor], y: Tensor) -> None:
        if x[0].shape == y.shape:
            kept_shape[path] = y.shape[1]

    for path, block in backbone.named_modules():
        if isinstance(block, (InvertedResidual, EdgeResidual)):
            first = {InvertedResidual: "conv_pw", EdgeResidual: "conv_exp"}[type(block)]
            block.register_forward_hook(partial(remember, f"{path}.{first}" if place == "blockres" else path))
    backbone(torch.empty(1, 3, 64, 64, device="meta"))

    insert_temporal(backbone, lambda channels: Times(1, channels), place=place)

    assert len(kept_shape) > 2
    assert inserted(backbone) == {f"{path}.temporal": channels for path, channels in kept_shape.items()}


def test_every_second_inverted_block_is_counted_among_those_that_can_have_one():
    backbone = meta_backbone("mobilenetv2_100")

    insert_temporal(backbone, lambda channels: Times(1, channels), every=2)

    places = [name.removesuffix(".conv_pw.temporal") for name in inserted(backbone)]
    assert places == [f"blocks.{place}" for place in ("1.1", "2.1", "3.1", "3.3", "4.1", "5.1")]


@pytest.mark.parametrize(
    "name",
    [
        *("inception_resnet_v2", "hrnet_w18_small", "resnetv2_50", "skresnet18"),
        *("mobilenetv4_conv_medium", "mixnet_s", "efficientnet_cc_b0_4e", "ghostnet_100", "lcnet_050"),
        "vit_tiny_patch16_224",
    ],
)
def test_a_backbone_without_such_blocks_is_named(name: str):
    with pytest.raises(ValueError, match=f"'{name}' has no place for a temporal module"):
        insert_temporal(meta_backbone(name), lambda channels: Times(1, channels))


def test_every_block_gets_a_module_that_fits_its_input():
    backbone = build_backbone("resnet10t", **TINY)

    insert_temporal(backbone, lambda channels: Times(1, channels))

    assert inserted(backbone) == {
        "layer1.0.conv1.temporal": 16,
        "layer2.0.conv1.temporal": 16,
        "layer3.0.conv1.temporal": 32,
        "layer4.0.conv1.temporal": 48,
    }
    assert "layer1.0.conv1.conv.weight" in backbone.state_dict()


def test_every_second_block_is_counted_anew_in_each_stage():
    backbone = build_backbone("resnet10t", layers=(2, 1, 3, 2), **TINY)

    insert_temporal(backbone, lambda channels: Times(1, channels), every=2)

    places = [name.removesuffix(".conv1.temporal") for name in inserted(backbone)]
    assert places == ["layer1.0", "layer2.0", "layer3.0", "layer3.2", "layer4.0"]


@pytest.mark.parametrize(("place", "shortcut"), [("blockres", 1.0), ("block", 0.5)])
def test_the_place_decides_whether_the_shortcut_sees_the_module(place: str, shortcut: float):
    backbone = build_backbone("resnet10t", **TINY)
    insert_temporal(backbone, lambda channels: Times(0.5, channels), place=place)
    x = torch.rand(1, 16, 4, 4)

    # The branch of a fresh block of timm gives zero, so only the shortcut is left.
    assert torch.equal(backbone.layer1(x), shortcut * x)


def test_the_residual_branch_sees_the_module():
    backbone = build_backbone("resnet10t", **TINY, zero_init_last=False).eval()
    backbone.layer1[0].act2 = nn.Identity()  # so that the block is branch + shortcut
    x = torch.rand(1, 16, 4, 4)
    branch_of_half = backbone.layer1(x / 2) - x / 2

    insert_temporal(backbone, lambda channels: Times(0.5, channels))

    torch.testing.assert_close(backbone.layer1(x) - x, branch_of_half)


@pytest.mark.parametrize(("options", "wrong"), [({"place": "blocks"}, "'blocks'"), ({"every": 0}, "every=0")])
def test_a_place_that_does_not_exist_is_refused(options: dict[str, Any], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        insert_temporal(build_backbone("resnet10t", **TINY), lambda channels: Times(1, channels), **options)


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet50", [3, 4, 6, 3]), ("resnet101", [3, 4, 23, 3]), ("legacy_senet154", [3, 8, 36, 3])]
)
def test_non_local_blocks_are_at_five_places_and_no_residual_block_is_lost(name: str, blocks: list[int]):
    with torch.device("meta"):
        backbone = build_backbone(name)
        insert_non_local(backbone, frames=8)

    places = {name: module for name, module in backbone.named_modules() if isinstance(module, NonLocal)}
    assert list(places) == [f"layer{place}.non_local" for place in ("2.0", "2.2", "3.0", "3.2", "3.4")]
    assert [block.theta.in_channels for block in places.values()] == [512] * 2 + [1024] * 3
    assert [len(backbone.get_submodule(f"layer{1 + i}")) for i in range(4)] == blocks
    assert backbone(torch.empty(8, 3, 64, 64, device="meta")).shape == (8, 2048)


def test_a_residual_block_keeps_its_temporal_module_and_its_names():
    backbone = build_backbone("resnet10t", layers=(1, 3, 5, 1), **TINY)
    insert_temporal(backbone, lambda channels: Times(1, channels))
    insert_non_local(backbone, frames=2)

    names = [key for key in backbone.state_dict() if key.startswith("layer2.0.")]
    assert {name.split(".")[2] for name in names} == {"block", "non_local"}
    assert "layer2.0.block.conv1.conv.weight" in names
    assert "layer2.0.block.conv1.temporal" in inserted(backbone)
    assert "layer2.1.conv1.temporal" in inserted(backbone)


def test_a_new_non_local_block_changes_nothing():
    backbone = build_backbone("resnet10t", layers=(1, 3, 5, 1), **TINY).eval()
    images = golden_io.make_input((4, 3, 64, 64))
    before = backbone(images)

    insert_non_local(backbone, frames=2)

    assert torch.equal(backbone.eval()(images), before)


@pytest.mark.parametrize("name", ["inception_resnet_v2", "tf_efficientnet_lite0"])
def test_non_local_blocks_are_for_resnets_only(name: str):
    with pytest.raises(ValueError, match=f"for ResNets only, and the backbone is '{name}'. Set `non_local: false`"):
        insert_non_local(meta_backbone(name), frames=8)


def test_a_resnet_without_the_places_of_non_local_blocks_is_refused():
    with pytest.raises(ValueError, match="layer2, but this network has 2 blocks.*`non_local: false`"):
        insert_non_local(meta_backbone("resnet18"), frames=8)
