"""Read a golden file, and make its weights and inputs anew.

A golden file holds what another project's own class gave for weights and inputs that follow from a rule,
so that neither needs to be stored.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def fill_tensor(index: int, key: str, shape: Iterable[int]) -> Tensor:
    """The weights at `index` in the peer's state_dict, where integer buffers count too."""
    shape = tuple(shape)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(index), dtype=torch.float32)
    last = key.rsplit(".", 1)[-1]
    if len(shape) >= 2:
        return noise / math.sqrt(math.prod(shape[1:]))
    if last == "running_var":
        return 1 + 0.1 * noise.abs()
    if last == "weight":
        return 1 + 0.05 * noise
    return 0.05 * noise


def is_integer_buffer(key: str) -> bool:
    """Whether the fill rule leaves this entry alone."""
    return key.endswith("num_batches_tracked")


def peer_state_dict(spec: Iterable[tuple[str, Iterable[int]]]) -> dict[str, Tensor]:
    """The [key, shape] list of a golden file -> the filled state dict, under the peer's names."""
    return {
        key: torch.zeros((), dtype=torch.long) if is_integer_buffer(key) else fill_tensor(i, key, shape)
        for i, (key, shape) in enumerate(spec)
    }


def fill(module: nn.Module) -> nn.Module:
    """Fill a module of ours by the same rule: arbitrary but fixed weights, none of them zero."""
    module.load_state_dict(peer_state_dict((key, value.shape) for key, value in module.state_dict().items()))
    return module


def make_input(shape: Iterable[int], seed: int = 1234) -> Tensor:
    """The input of a golden file."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def load(path: Path) -> dict[str, Any]:
    """The file's arrays, and what it holds as JSON under `meta`, `keys`, `taps` and `cases`."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    for name in ("meta_json", "keys_json", "taps_json", "cases"):
        if name in content:
            content[name.removesuffix("_json")] = json.loads(bytes(content.pop(name)).decode())
    return content
