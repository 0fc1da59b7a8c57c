"""Normalisation of pixels: what a model's weights expect, and the clip made so."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class InputSpec:
    """Input that a model's weights expect: RGB in 0..1, minus `mean`, divided by `std`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def normalize(clips: Tensor, spec: InputSpec) -> Tensor:
    """Normalise clips, uint8 (N, 3, T, H, W), as the model's weights expect: float of the same shape, contiguous.

    The bytes may lie in any order: the loader hands over each pixel's colours together, as the decoder wrote them.
    """
    mean, std = _constants(spec, clips.device)
    normal = torch.empty(clips.shape, device=clips.device)
    at_once = 1 if clips.device.type == "cpu" else max(1, len(clips))  # a cache holds one clip, and not a batch
    for pixels, into in zip(clips.split(at_once), normal.split(at_once), strict=True):
        into.copy_(pixels).div_(255).sub_(mean).div_(std)
    return normal


@cache
def _constants(spec: InputSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3, 1, 1, 1), copied to a device once."""
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1, 1) for values in (spec.mean, spec.std))
    return mean, std
