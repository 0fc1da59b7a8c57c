"""Cross-entropy of the softmax over classes, with a scale: the usual loss where each video has one label."""

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import SINGLE_LABEL
from pipeline.losses.bce import ClassWeights

TASKS = (SINGLE_LABEL,)
SOFT_TARGETS = True
MEAN_OVER = "videos"


def build(
    statistics: ClassStatistics, *, scale: float = 1.0, class_weights: ClassWeights = "none", smoothing: float = 0.0
) -> nn.Module:
    """Module that computes the scaled mean cross-entropy, see `ScaledCrossEntropy`.

    Args:
        statistics: class statistics of the training split, for the class weights.
        scale: factor of the mean.
        class_weights: one of the formulas of `ClassStatistics.class_weights`; the mean still divides by N, so weights
            that are not 1 on average move the scale of the loss.
        smoothing: label smoothing e, 0 <= e < 1; see `ScaledCrossEntropy`.

    Raises:
        ValueError: an option is out of range.
    """
    if class_weights not in get_args(ClassWeights):
        raise ValueError(f"class_weights must be one of {', '.join(get_args(ClassWeights))}, not {class_weights!r}")
    weights = None if class_weights == "none" else torch.from_numpy(statistics.class_weights()[class_weights]).float()
    return ScaledCrossEntropy(scale, weights, smoothing)


class ScaledCrossEntropy(nn.Module):
    """Cross-entropy with a scale: logits (N, C), targets in 0..1 (N, C) -> scalar, the mean over videos x scale.

    Label smoothing e replaces a target y by (1 - e) y + e / C: Szegedy et al., "Rethinking the Inception Architecture",
    CVPR 2016, arXiv:1512.00567, section 7.

    Raises:
        ValueError: an option is out of range.
    """

    class_weights: Tensor | None

    def __init__(self, scale: float, class_weights: Tensor | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be at least 0 and less than 1, not {smoothing}")
        self.scale = scale
        self.smoothing = smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean of the N weighted cross-entropies, times `scale`.

        Raises:
            ValueError: targets are not of the logits' shape.
        """
        if targets.shape != logits.shape:
            raise ValueError(f"logits are {tuple(logits.shape)}, but targets {tuple(targets.shape)}")
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        shares = targets.to(logits.dtype)
        return self.scale * F.cross_entropy(logits, shares, weight=weights, label_smoothing=self.smoothing)
