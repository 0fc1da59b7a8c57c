"""Golden files: their weights, single layers under this project's names, and the comparison of logits.

Whole networks get their names from pipeline/importers, see tests/importers.
"""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.support.golden import golden_io

HERE = Path(__file__).parent
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""(pattern, replacement) of re.sub, applied one after another."""

X_TEMPORAL_NON_LOCAL: Rules = [(r"^(g|phi)\.0\.", r"\1."), (r"^W\.0\.", "out."), (r"^W\.1\.", "bn.")]
X_TEMPORAL_INTERLACE: Rules = [
    (r"^biasnet\.net\.", "offset_net."),
    (r"\.fc\.", ".hidden."),
    (r"\.lastlayer\.", ".out."),
    (r"^weightnet\.net\.out\.", "weight_net."),
]
TRN: Rules = [  # ReLU, linear, ReLU, linear
    (r"^classifier\.", ""),
    (r"^fc_fusion_scales\.", "scales."),
    (r"\b1\.(weight|bias)", r"hidden.\1"),
    (r"\b3\.(weight|bias)", r"classifier.\1"),
]
PYSLOWFAST_NON_LOCAL: Rules = [(r"^conv_", "")]


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


def peer_weights(name: str) -> dict[str, Tensor]:
    """The filled weights of a golden file under the peer's names."""
    golden = read(name)
    filled = golden_io.peer_state_dict(golden["keys"])
    total = math.fsum(float(value.double().sum()) for value in filled.values() if value.is_floating_point())
    assert math.isclose(total, golden["meta"]["fill_sum"], rel_tol=1e-9), "the fill itself differs"
    return filled


def weights(name: str, rules: Rules) -> dict[str, Tensor]:
    """The filled weights of a golden file under our names."""
    return {rename(key, rules): value for key, value in peer_weights(name).items()}


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
