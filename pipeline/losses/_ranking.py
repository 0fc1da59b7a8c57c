"""Inputs of the ranking losses: logits, and labels that are present, absent or not known, with nothing between."""

import torch
from torch import Tensor


def scores_and_presence(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C) in float32 or wider, and masks of the classes that are present and absent, bool (N, C).

    Raises:
        ValueError: targets are not of the logits' shape, or not 0, 1, or -1 where nobody knows. On a GPU the latter is
            not looked at, since every step would wait for it; training refuses whatever makes such targets before it
            begins.
    """
    present, absent = targets == 1, targets == 0
    if targets.shape != logits.shape or not (targets.is_cuda or (present | absent | (targets == -1)).all()):
        raise ValueError(
            f"A ranking loss puts present classes above absent ones: for logits {tuple(logits.shape)} it needs as many "
            "targets, each 0 or 1. For mixed targets (mixup) take the loss bce or asymmetric."
        )
    return logits.to(torch.promote_types(logits.dtype, torch.float32)), present, absent
