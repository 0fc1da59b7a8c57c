"""Focal loss: binary cross-entropy that counts a class the less, the better it is answered (arXiv:1708.02002)."""

import torch
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = False
MEAN_OVER = "videos"


def build(_statistics: ClassStatistics, *, scale: float = 1.0, gamma: float = 2.0) -> nn.Module:
    """Scaled mean focal loss, see `FocalLoss`."""
    return FocalLoss(scale, gamma)


class FocalLoss(nn.Module):
    """Logits (N, C), targets 0, 1 or, where nobody knows, -1 (N, C) -> scalar.

    Raises:
        ValueError: scale is not positive, or gamma is below 1, where the slope is not finite.
    """

    def __init__(self, scale: float, gamma: float) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        if not gamma >= 1:
            raise ValueError(f"gamma must be at least 1, not {gamma}")
        self.scale, self.gamma = scale, gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """`scale` x the mean of the N x C losses, 0 where nobody knows."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        every_class_alike = -1
        losses = sigmoid_focal_loss(logits, targets.to(logits.dtype), alpha=every_class_alike, gamma=self.gamma)
        return self.scale * losses.masked_fill(targets < 0, 0).mean()
