"""Names and shapes tell architecture and options."""

from typing import Any

import pytest
import torch

from pipeline.models import fast, mvit, r2plus1d, r3d, s3d, slow, slowfast, swin3d, tin, trn, tsm, tsn
from pipeline.pretrained import infer_config


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (tsn, {}),
        (trn, {"frames": 6, "multiscale": True}),
        (trn, {"frames": 4, "multiscale": False}),
        (tsm, {"every": 1, "place": "blockres"}),
        (tsm, {"every": 2, "place": "blockres"}),
        (tsm, {"every": 2, "place": "block"}),
        (tsm, {"every": 1, "place": "blockres", "non_local": True}),
        (tsn, {"non_local": True}),
        (tin, {"frames": 16}),
        (slow, {"non_local": True}),
        (slow, {}),
        (fast, {}),
        (r3d, {}),
        (r3d, {"depth": 50}),
        (r2plus1d, {}),
        (r2plus1d, {"depth": 50}),
        (slowfast, {"fusion_kernel": 7, "fusion_norm": True, "head_bias": True, "width": 32}),
        (slowfast, {"fusion_kernel": 5, "fusion_norm": False, "head_bias": False, "width": 64}),
    ],
)
def test_options_are_seen(module: Any, options: dict[str, Any]):
    with torch.device("meta"):
        state = module.build(7, **options).state_dict()

    seen = infer_config.options(state)

    assert seen["arch"] == module.__name__.rpartition(".")[2]
    assert {key: seen[key] for key in options if key != "depth"} == {k: v for k, v in options.items() if k != "depth"}
    assert seen["blocks"] in ((3, 4, 6, 3), (2, 2, 2, 2))
    assert infer_config.classes(state) == 7


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (tsn, {}),
        (tsm, {"every": 1, "place": "blockres"}),
        (tsm, {"every": 2, "place": "blockres"}),
        (tsm, {"every": 1, "place": "block"}),
        (tin, {"frames": 8, "every": 1}),
    ],
)
@pytest.mark.parametrize(
    ("backbone", "blocks"), [("mobilenetv2_100", (1, 2, 3, 4, 3, 3, 1)), ("efficientnet_es", (1, 2, 4, 5, 4, 2))]
)
def test_options_are_seen_in_networks_of_inverted_blocks(
    module: Any, options: dict[str, Any], backbone: str, blocks: tuple[int, ...]
):
    given = {key: value for key, value in options.items() if module is tsm} | (
        {"shift_div": 2} if module is tin else {}
    )
    with torch.device("meta"):
        state = module.build(7, backbone=backbone, **given).state_dict()

    seen = infer_config.options(state)

    assert seen == {"arch": module.__name__.rpartition(".")[2], "blocks": blocks, "non_local": False} | options


def test_only_a_whole_component_is_a_classifier():
    assert infer_config.is_classifier("classifier.weight")
    assert infer_config.is_classifier("relation.scales.0.classifier.bias")
    assert not infer_config.is_classifier("backbone.preclassifier.weight")
    assert not infer_config.is_classifier("backbone.layer1.0.se_module.fc1.weight")


def test_a_description_reads_well():
    with torch.device("meta"):
        model = slowfast.build(7, fusion_norm=True)

    said = infer_config.describe(infer_config.options(model.state_dict()))
    assert said == "slowfast, blocks 3-4-6-3, width 64, fusion_kernel 5, fusion_norm true"
    assert infer_config.describe(infer_config.options({})) == "nothing that is known here"


@pytest.mark.parametrize("module", [mvit, swin3d, s3d])
def test_networks_of_torchvision_are_told_apart(module: Any):
    with torch.device("meta"):
        seen = infer_config.options(module.build(7).state_dict())
    assert seen == {"arch": module.__name__.rpartition(".")[2], "non_local": False}
