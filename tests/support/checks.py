"""What every model of the open set must hold to, checked on small ones."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline import metrics
from pipeline.cli import model_table
from pipeline.core import registry
from pipeline.layers.non_local import NonLocal
from tests.support.golden.golden_io import fill, make_input

CLASSES = 5
CONF = Path(__file__).parents[2] / "conf"

TINY_2D: dict[str, Any] = {
    "backbone": "resnet10t",
    "backbone_options": {"stem_width": 8, "channels": [16, 32, 48, 64]},
}
"""A ResNet of timm with one basic block a stage, of 125 thousand parameters."""
TINY_DEEP: dict[str, Any] = {
    "backbone": "resnet10t",
    "backbone_options": {"stem_width": 8, "channels": [16, 16, 16, 32], "layers": (1, 3, 5, 1)},
    "non_local": True,
}
"""The same with all places of non-local blocks."""
TINY_INVERTED: dict[str, Any] = {"backbone": "mobilenetv3_small_050"}
"""The smallest network of timm with inverted residual blocks and public weights, of 570 thousand parameters."""
TINY_VIT: dict[str, Any] = {
    "backbone": "test_vit",
    "backbone_options": {"dynamic_img_size": True},
    "size": 32,
    "frames": 4,
    "rows": 2,
    "columns": 1,
    "width": 32,
    "heads": 2,
}
"""The smallest vision transformer of timm as an encoder, of 306 thousand parameters, at another size than its own."""
TINY_3D: dict[str, Any] = {"width": 8, "blocks": (1, 1, 1, 1)}
TINY_SLOWFAST: dict[str, Any] = {"width": 16, "beta_inv": 4, "blocks": (1, 1, 1, 1), "block": "basic"}
TINY_MVIT: dict[str, Any] = {"frames": 4, "size": 32, "width": 16, "depths": (1, 2), "stochastic_depth": 0.0}
TINY_SWIN: dict[str, Any] = {
    "width": 16,
    "head_width": 8,
    "depths": (2, 2),
    "window": (2, 2, 2),
    "stochastic_depth": 0.0,
}
TINY_VIDEOMAE: dict[str, Any] = {"frames": 4, "size": 32, "patch": 8, "width": 24, "depth": 2, "heads": 2}
TINY_VIDEOPRISM: dict[str, Any] = {
    "frames": 4,
    "size": 36,
    "width": 24,
    "depth": 2,
    "temporal_depth": 1,
    "heads": 2,
}
TINY_VJEPA2: dict[str, Any] = TINY_VIDEOMAE | {"pooler_depth": 1}
TINY_CELLS: dict[str, Any] = {"moments": 2, "rows": 2, "columns": 1, "pool_width": 32, "pool_heads": 4}
TINY_VIDEOPRISM_PROBE: dict[str, Any] = TINY_VIDEOPRISM | TINY_CELLS
TINY_VJEPA2_PROBE: dict[str, Any] = TINY_VIDEOMAE | TINY_CELLS
TINY_AST: dict[str, Any] = {
    "mels": 32,
    "columns": 40,
    "patch": 8,
    "frequency_stride": 8,
    "time_stride": 8,
    "width": 24,
    "depth": 2,
    "heads": 2,
}


@dataclass(frozen=True)
class Case:
    """A small network of one architecture.

    Attributes:
        frames: a length of clip that it takes.
        refused: a length that it refuses; None where there is none.
        remedy: what the message then says.
    """

    model: str
    options: dict[str, Any]
    frames: int
    refused: int | None = None
    remedy: str = ""
    size: int = field(default=32, kw_only=True)

    def build(self, **changes: Any) -> nn.Module:
        """With fresh random weights that are the same each time."""
        torch.manual_seed(0)
        return registry.find("models", self.model).build(CLASSES, **self.options | changes)

    def clips(self, batch: int) -> Tensor:
        """A batch that fits."""
        return self.of(self.frames, batch)

    def of(self, frames: int, batch: int = 1) -> Tensor:
        """Clips of a length."""
        return clips(batch, frames, self.size)


@dataclass(frozen=True)
class SoundCase(Case):
    """A small network that hears; `frames` are the columns of a spectrogram."""

    mels: int = field(default=64, kw_only=True)

    def of(self, frames: int, batch: int = 1) -> Tensor:
        """Spectrograms of a length."""
        return make_input((batch, 1, self.mels, frames))


def smallest(arch: str) -> Case:
    """A case for an architecture from its cheapest config in conf/model.

    Raises:
        LookupError: no config is of this architecture.
    """
    configs = [config for config in model_table.configs(CONF).values() if config.arch == arch]
    if not configs:
        raise LookupError(f"no config of conf/model has arch: {arch}; add one")
    cheapest = min(configs, key=model_table.cost)
    return Case(arch, cheapest.options, cheapest.clip.sampler.length, size=cheapest.train.augment.crop)


def parameter_count(model: nn.Module) -> int:
    """Number of learnable values."""
    return sum(parameter.numel() for parameter in model.parameters())


def clips(batch: int, frames: int, size: int = 32) -> Tensor:
    """A batch of noise."""
    return make_input((batch, 3, frames, size, size))


def settled(model: nn.Module) -> nn.Module:
    """The model with fixed weights, none of them zero, in eval mode.

    Its norms do not normalise, as they have seen no data; so non-local blocks are kept small, or the products
    of their products would overflow.
    """
    fill(model).eval()
    for module in model.modules():
        if isinstance(module, NonLocal):
            module.bn.weight.data.mul_(1e-3)
    return model


def assert_every_parameter_learns(model: nn.Module, clip: Tensor) -> None:
    """Each parameter gets a gradient that is not zero, or is frozen."""
    settled(model)(clip).square().sum().backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not idle


def assert_learns(model: nn.Module, batch: Tensor, steps: int = 50, rate: float = 2e-3) -> None:
    """A step lowers the loss, and training on a batch of 8 clips ends in knowing their labels."""
    labels = torch.zeros(len(batch), CLASSES)
    labels[torch.arange(8), torch.arange(8) % CLASSES] = 1
    labels[torch.arange(8), (torch.arange(8) // 2) % CLASSES] = 1
    optimizer = torch.optim.Adam(model.train().parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = binary_cross_entropy_with_logits(model(batch), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        scores = model.eval()(batch)
    assert losses[1] < losses[0]
    assert metrics.sample_map(scores.numpy(), labels.numpy()) > 99


def assert_clips_do_not_mix(model: nn.Module, batch: Tensor) -> None:
    """In eval mode, a batch gives what its clips give one by one."""
    settled(model)
    with torch.inference_mode():
        one_by_one = torch.cat([model(clip) for clip in batch.split(1)])
        torch.testing.assert_close(model(batch), one_by_one, rtol=1e-5, atol=1e-5)


def assert_weights_survive_a_file(model: nn.Module, other: nn.Module, clip: Tensor) -> None:
    """What `model` saves makes `other`, built alike, give the same logits to the last bit."""
    file = io.BytesIO()
    torch.save(settled(model).state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.inference_mode():
        assert torch.equal(model(clip), other.eval()(clip))
