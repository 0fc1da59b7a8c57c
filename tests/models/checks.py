"""What every model of the open set must hold to, checked on small ones."""

import io
from typing import Any

import torch
from torch import Tensor, nn

from tests.golden.golden_io import fill, make_input

TINY_2D: dict[str, Any] = {
    "backbone": "resnet10t",
    "backbone_options": {"stem_width": 8, "channels": [16, 32, 48, 64]},
}
"""A ResNet of timm with one basic block a stage, of 125 thousand parameters."""
TINY_SLOWFAST: dict[str, Any] = {"width": 16, "beta_inv": 4, "blocks": (1, 1, 1, 1), "block": "basic"}


def parameter_count(model: nn.Module) -> int:
    """Number of learnable values."""
    return sum(parameter.numel() for parameter in model.parameters())


def clips(batch: int, frames: int, size: int = 32) -> Tensor:
    """A batch of noise."""
    return make_input((batch, 3, frames, size, size))


def assert_every_parameter_learns(model: nn.Module, clip: Tensor) -> None:
    """Each parameter gets a gradient that is not zero."""
    fill(model).eval()(clip).square().sum().backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not idle


def assert_clips_do_not_mix(model: nn.Module, batch: Tensor) -> None:
    """In eval mode, a batch gives what its clips give one by one."""
    fill(model).eval()
    with torch.inference_mode():
        one_by_one = torch.cat([model(clip) for clip in batch.split(1)])
        torch.testing.assert_close(model(batch), one_by_one, rtol=1e-5, atol=1e-5)


def assert_weights_survive_a_file(model: nn.Module, other: nn.Module, clip: Tensor) -> None:
    """What `model` saves makes `other`, built alike, give the same logits to the last bit."""
    file = io.BytesIO()
    torch.save(fill(model).state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.inference_mode():
        assert torch.equal(model.eval()(clip), other.eval()(clip))
