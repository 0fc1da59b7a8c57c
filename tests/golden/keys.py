"""The golden networks under this project's names: a few renaming rules for each peer, for the tests only."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.golden import golden_io

HERE = Path(__file__).parent
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""(pattern, replacement) of re.sub, applied one after another."""

TORCHVISION: Rules = [(r"^fc\.", "classifier."), (r"^(?!classifier)", "backbone.")]
X_TEMPORAL_2D: Rules = [
    (r"^base_model\.", "backbone."),
    (r"^new_fc\.", "classifier."),
    (r"\.net1\.biasnet\.net\.conv\.", ".temporal.offset_net.conv."),
    (r"\.net1\.biasnet\.net\.fc\.", ".temporal.offset_net.hidden."),
    (r"\.net1\.biasnet\.net\.lastlayer\.", ".temporal.offset_net.out."),
    (r"\.net1\.weightnet\.net\.lastlayer\.", ".temporal.weight_net."),
    (r"\.conv1\.net2?\.", ".conv1.conv."),
]
X_TEMPORAL_INTERLACE: Rules = [
    (r"^biasnet\.net\.", "offset_net."),
    (r"\.fc\.", ".hidden."),
    (r"\.lastlayer\.", ".out."),
    (r"^weightnet\.net\.out\.", "weight_net."),
]
MMACTION_NAMES: Rules = [  # every convolution and its norm are one module there
    (r"conv(\d)\.bn\.", r"bn\1."),
    (r"(conv\d)\.conv\.weight$", r"\1.weight"),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"^cls_head\.fc_cls\.", "classifier."),
]
MMACTION_TIN: Rules = [
    *MMACTION_NAMES,
    (r"\.conv1\.conv\.net1\.", ".conv1.temporal."),
    (r"\.conv1\.conv\.net2\.", ".conv1.conv."),
    (r"\.offset_net\.fc1\.", ".offset_net.hidden."),
    (r"\.offset_net\.fc2\.", ".offset_net.out."),
    (r"\.weight_net\.conv\.", ".weight_net."),
]
MMACTION_SLOWFAST: Rules = [
    *MMACTION_NAMES,
    (r"^backbone\.slow_path\.conv1_lateral\.", "laterals.0."),
    (r"^backbone\.slow_path\.layer(\d)_lateral\.", r"laterals.\1."),
    (r"^backbone\.(slow|fast)_path\.", r"\1."),
]
X_TEMPORAL_SLOWFAST: Rules = [
    (r"^lateral_p1\.", "laterals.0.conv."),
    (r"^lateral_res(\d)\.", lambda match: f"laterals.{int(match[1]) - 1}.conv."),
    (r"^(slow|fast)_res(\d)\.", lambda match: f"{match[1]}.layer{int(match[2]) - 1}."),
    (r"^(slow|fast)_(conv1|bn1)\.", r"\1.\2."),
    (r"^fc\.", "classifier."),
]
PYSLOWFAST: Rules = [
    (r"^s(\d)_fuse\.", lambda match: f"laterals.{int(match[1]) - 1}."),
    (r"^(laterals\.\d)\.conv_f2s\.", r"\1.conv."),
    (r"^s(\d)\.pathway(\d)_res(\d+)\.", lambda match: f"path{match[2]}.layer{int(match[1]) - 1}.{match[3]}."),
    (r"^s1\.pathway(\d)_stem\.(conv|bn)\.", r"path\1.\g<2>1."),
    (r"^path0\.", "slow."),
    (r"^path1\.", "fast."),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    *[(rf"\.branch2\.{letter}\.", f".conv{number}.") for number, letter in enumerate("abc", start=1)],
    *[(rf"\.branch2\.{letter}_bn\.", f".bn{number}.") for number, letter in enumerate("abc", start=1)],
    (r"^head\.projection\.", "classifier."),
]


def rename(key: str, rules: Rules) -> str:
    """One peer name -> ours."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def read(name: str) -> dict[str, Any]:
    """A golden file's content; arrays as tensors."""
    content = golden_io.load(HERE / f"{name}.npz")
    arrays = {key: torch.from_numpy(value) for key, value in content.items() if isinstance(value, np.ndarray)}
    return content | arrays


def weights(name: str, rules: Rules, names_of: str | None = None) -> dict[str, Tensor]:
    """The filled weights of a golden file under our names.

    Args:
        names_of: another golden file with the same weights in the same order, whose names `rules` are for.
    """
    golden = read(name)
    filled = golden_io.peer_state_dict(golden["keys"])
    total = math.fsum(float(value.double().sum()) for value in filled.values() if value.is_floating_point())
    assert math.isclose(total, golden["meta"]["fill_sum"], rel_tol=1e-9), "the fill itself differs"
    names = [key for key, _ in (read(names_of) if names_of else golden)["keys"]]
    return {rename(key, rules): value for key, value in zip(names, filled.values(), strict=True)}


def assert_logits_match(model: nn.Module, name: str, state: dict[str, Tensor]) -> None:
    """Load `state` strictly into `model`, run it on the golden file's input and compare the logits."""
    golden = read(name)
    model.load_state_dict(state)
    images = golden_io.make_input(golden["meta"]["input"][0]["shape"])
    if images.ndim == 4:  # frames side by side in the channels: (N, 3*T, H, W)
        images = images.unflatten(1, (-1, 3)).transpose(1, 2)
    with torch.inference_mode():
        logits = model.eval()(images)
    torch.testing.assert_close(logits, golden["logits"], rtol=1e-4, atol=1e-4)
