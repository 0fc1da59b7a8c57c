"""Normalisation of pixels, or of sound: what a model's weights expect, and the clip made so."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pipeline.layers.log_mel import MelSpec, log_mel


@dataclass(frozen=True)
class InputSpec:
    """Input that a model's weights expect: planes in 0..1, minus `mean`, divided by `std`.

    Planes are red, green and blue; or x and y of flow, in 8 bits as it is stored, so that no motion is 128 / 255.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_spec(node: Mapping[str, Any]) -> InputSpec | MelSpec:
    """The input that plain values describe, as `dataclasses.asdict` gives them.

    Raises:
        LookupError, TypeError, ValueError: they describe none.
    """
    if "mels" in node:
        return MelSpec(**node)
    return InputSpec(_planes(node["mean"]), _planes(node["std"]))


def normalize(clips: Tensor, spec: InputSpec | MelSpec) -> Tensor:
    """Make clips what the model's weights expect: floats, contiguous.

    Clips of frames or flow, uint8 (N, P, T, H, W), keep their shape; sounds, int16 (N, S), become (N, 1, mels, T). The
    bytes of frames may lie in any order: the loader hands over each pixel's colours together, as they were decoded.
    """
    if isinstance(spec, MelSpec):
        return log_mel(clips, spec)
    mean, std = _constants(spec, clips.device)
    normal = torch.empty(clips.shape, device=clips.device)
    at_once = 1 if clips.device.type == "cpu" else max(1, len(clips))  # a cache holds one clip, and not a batch
    for pixels, into in zip(clips.split(at_once), normal.split(at_once), strict=True):
        into.copy_(pixels).div_(255).sub_(mean).div_(std)
    return normal


@cache
def _constants(spec: InputSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation (P, 1, 1, 1), copied to a device once."""
    mean, std = (torch.tensor(values, device=device).view(-1, 1, 1, 1) for values in (spec.mean, spec.std))
    return mean, std


def _planes(values: Any) -> tuple[float, ...]:
    found = tuple(map(float, values))
    if len(found) not in (2, 3):
        raise ValueError(f"{found} are the figures of {len(found)} planes, and there are 2 or 3")
    return found
