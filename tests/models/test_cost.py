"""Parameters and multiplications of every architecture, as measured on the peers' own classes."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.core import registry
from tests.support import checks

PYSLOWFAST_50 = {"fusion_kernel": 7, "fusion_norm": True, "slow_frames": "linspace", "head_bias": True}
PYSLOWFAST_101 = PYSLOWFAST_50 | {"depth": 101, "fusion_kernel": 5}

COSTS: list[tuple[str, dict[str, Any], int, int, int, float]] = [
    # model, options, frames, pixels, parameters, GMACs of one clip
    ("tsn", {}, 5, 224, 24_149_369, 20.44),
    ("tsn", {"backbone": "resnet101"}, 5, 224, 43_141_497, 39.00),
    ("tsn", {"backbone": "resnet152"}, 5, 224, 58_785_145, 57.56),
    ("tsn", {"backbone": "legacy_senet154"}, 5, 224, 113_681_321, 103.44),
    ("tsn", {"backbone": "inception_resnet_v2"}, 5, 224, 54_787_545, 32.34),
    ("tsn", {"backbone": "inception_resnet_v2"}, 5, 299, 54_787_545, 65.77),
    ("tsm", {}, 8, 224, 24_149_369, 32.70),
    ("tsm", {"frames": 16}, 16, 224, 24_149_369, 65.40),
    ("tsm", {"backbone": "resnet101"}, 8, 224, 43_141_497, 62.40),
    ("tsm", {"non_local": True}, 8, 224, 31_507_833, 61.10),
    ("tin", {}, 8, 224, 24_180_377, 32.70),
    ("tin", {"frames": 16}, 16, 224, 24_183_833, 65.41),
    ("tin", {"backbone": "resnet101"}, 8, 224, 43_213_254, 62.40),
    ("tin", {"backbone": "resnet101", "frames": 16}, 16, 224, 43_220_382, 124.80),
    ("trn", {"multiscale": False}, 8, 224, 25_242_233, 32.70),
    ("trn", {"multiscale": True}, 8, 224, 26_891_215, 32.71),
    ("slowfast", {}, 32, 112, 34_278_440, 13.11),
    ("slowfast", {}, 32, 224, 34_278_440, 49.99),
    ("slowfast", {}, 44, 112, 34_278_440, 18.02),
    ("slowfast", {"depth": 101}, 32, 112, 62_625_192, 24.71),
    ("slowfast", {"depth": 101}, 44, 112, 62_625_192, 33.97),
    ("slowfast", {"depth": 101}, 32, 160, 62_625_192, 49.18),
    ("slowfast", {"depth": 152}, 32, 112, 85_448_744, 35.49),
    ("slowfast", {"depth": 200}, 32, 112, 90_035_240, 43.12),
    ("slowfast", PYSLOWFAST_50, 32, 112, 34_365_953, 13.19),
    ("slowfast", PYSLOWFAST_101, 32, 112, 62_626_433, 24.71),
    ("slowfast", PYSLOWFAST_101, 44, 112, 62_626_433, 33.98),
    ("slow", {}, 8, 112, 32_275_833, 11.00),
    ("slow", {}, 8, 224, 32_275_833, 41.74),
    ("slow", {"depth": 101}, 8, 112, 60_180_857, 21.91),
    ("fast", {}, 16, 112, 32_845_945, 26.86),
    ("fast", {}, 32, 112, 32_845_945, 53.71),
    ("fast", {"depth": 101}, 16, 112, 60_750_969, 48.69),
    ("fast", {"depth": 101}, 32, 112, 60_750_969, 97.39),
    ("r3d", {"depth": 18}, 16, 112, 33_364_473, 8.31),
    ("r3d", {"depth": 34}, 16, 112, 63_674_105, 12.70),
    ("r3d", {"depth": 50}, 16, 112, 46_840_313, 10.07),
    ("r3d", {"depth": 101}, 16, 112, 85_886_457, 13.89),
    ("r2plus1d", {"depth": 18, "max_pooling": True}, 16, 112, 33_339_166, 11.80),
    ("r2plus1d", {"depth": 18, "max_pooling": False}, 16, 112, 33_339_166, 42.14),
    ("r2plus1d", {"depth": 50, "max_pooling": True}, 16, 112, 46_819_752, 15.89),
    ("r2plus1d", {"depth": 101, "max_pooling": True}, 16, 112, 85_885_480, 23.53),
    ("s3d", {}, 16, 224, 8_230_873, 17.98),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "frames", "pixels", "parameters", "gmacs"), COSTS)
def test_costs_what_it_costs_the_peers(
    name: str, options: dict[str, Any], frames: int, pixels: int, parameters: int, gmacs: float
):
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
        model = registry.find("models", name).build(313, **options).eval()
        model(torch.empty(1, 3, frames, pixels, pixels))

    assert checks.parameter_count(model) == parameters
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, rel=0.01)
