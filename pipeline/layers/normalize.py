"""Pixels as the loader gives them -> the float clip that the weights of a model expect."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class InputSpec:
    """What the weights of a model expect: RGB in 0..1, minus `mean`, over `std`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def normalize(clip: Tensor, spec: InputSpec) -> Tensor:
    """uint8 (N, 3, T, H, W) -> float, as the model's weights expect it."""
    mean = torch.tensor(spec.mean, device=clip.device).view(3, 1, 1, 1)
    std = torch.tensor(spec.std, device=clip.device).view(3, 1, 1, 1)
    return (clip.float() / 255 - mean) / std
