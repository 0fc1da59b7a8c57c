"""What a network costs: its parameters, and the GMACs of a clip. Nothing is computed: tensors without data pass.

GMACs are 10^9 multiplications with addition: convolutions, linear layers and matrix products, as torch's flop counter
sees them, and what papers call GFLOPs.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.layers.hugging_face import FrozenEncoder


def without_data(build: Callable[[], nn.Module]) -> nn.Module:
    """The network that `build` makes, in eval mode and without gradients, with no number in any tensor."""
    with torch.device("meta"):
        return build().eval().requires_grad_(False)  # for which torch's counter would look behind views of parameters


def parameters(network: nn.Module) -> int:
    """Number of the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmacs(network: nn.Module, frames: int, crop: int) -> float:
    """GMACs of one clip (1, 3, frames, crop, crop), crop in pixels, through a network `without_data`."""
    return gmacs_of(network, (3, frames, crop, crop))


def gmacs_of(network: nn.Module, shape: Sequence[int]) -> float:
    """GMACs of one clip of a shape, without the batch, through a network `without_data`."""
    return float(_counted(network, shape).get_total_flops() / 2 / 1e9)


def frozen_gmacs(network: nn.Module, frames: int, crop: int) -> float:
    """Those of them that are a frozen encoder's, through which no gradient passes."""
    frozen = [name for name, module in network.named_modules() if isinstance(module, FrozenEncoder)]
    if not frozen:
        return 0.0
    by_module = _counted(network, (3, frames, crop, crop)).get_flop_counts()
    counts = [by_module[f"{type(network).__name__}.{name}.encoder"] for name in frozen]
    return float(sum(sum(each.values()) for each in counts) / 2 / 1e9)


def _counted(network: nn.Module, shape: Sequence[int]) -> FlopCounterMode:
    clip = torch.empty(1, *shape, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(clip)
    return counter
