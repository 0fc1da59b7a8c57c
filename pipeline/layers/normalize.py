"""Normalisation of pixels: what a model's weights expect, and the clip made so."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class InputSpec:
    """Input that a model's weights expect: RGB in 0..1, minus `mean`, divided by `std`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def normalize(clip: Tensor, spec: InputSpec) -> Tensor:
    """Normalise clips, uint8 (N, 3, T, H, W), as the model's weights expect: float of the same shape."""
    mean = torch.tensor(spec.mean, device=clip.device).view(3, 1, 1, 1)
    std = torch.tensor(spec.std, device=clip.device).view(3, 1, 1, 1)
    return (clip.float() / 255 - mean) / std
