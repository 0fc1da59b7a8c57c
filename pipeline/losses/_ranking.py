"""Inputs of the ranking losses: logits, and labels that are present or absent, with nothing between."""

import torch
from torch import Tensor


def scores_and_presence(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, C) in float32 or wider, and a mask of the classes that are present, bool (N, C).

    Raises:
        ValueError: targets are not of the logits' shape, or not 0 or 1. On a GPU the latter is not looked at, since
            every step would wait for it; training refuses whatever makes such targets before it begins.
    """
    present = targets == 1
    if targets.shape != logits.shape or not (targets.is_cuda or (present | (targets == 0)).all()):
        raise ValueError(
            f"A ranking loss puts present classes above absent ones: for logits {tuple(logits.shape)} it needs as many "
            "targets, each 0 or 1. For mixed targets (mixup) take the loss bce or asymmetric."
        )
    return logits.to(torch.promote_types(logits.dtype, torch.float32)), present
