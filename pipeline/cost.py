"""What a network costs: its parameters, and the GMACs of a clip. Nothing is computed: tensors without data pass.

GMACs are 10^9 multiplications with addition: convolutions, linear layers and matrix products, as torch's flop counter
sees them, and what papers call GFLOPs.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def without_data(build: Callable[[], nn.Module]) -> nn.Module:
    """The network that `build` makes, in eval mode, with no number in any tensor."""
    with torch.device("meta"):
        return build().eval()


def parameters(network: nn.Module) -> int:
    """Number of the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmacs(network: nn.Module, frames: int, crop: int) -> float:
    """GMACs of one clip (1, 3, frames, crop, crop), crop in pixels, through a network `without_data`."""
    return gmacs_of(network, (3, frames, crop, crop))


def gmacs_of(network: nn.Module, shape: Sequence[int]) -> float:
    """GMACs of one clip of a shape, without the batch, through a network `without_data`."""
    clip = torch.empty(1, *shape, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clip)
    return float(counter.get_total_flops() / 2 / 1e9)
