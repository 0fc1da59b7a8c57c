"""Binary cross-entropy with a scale: the report's loss is 160 x the mean over videos and classes.

With plain SGD a scale of k is a learning rate of k times as much with a weight decay of 1/k, and it moves the point at
which gradients are clipped: the two are not the same setting.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.statistics import ClassStatistics

ClassWeights = Literal["none", "sqrt", "linear", "inverse_sqrt", "inverse_linear"]


def build(statistics: ClassStatistics, *, scale: float = 1.0, class_weights: ClassWeights = "none") -> nn.Module:
    """Scaled mean BCE; `class_weights` names one of the formulas of `ClassStatistics.weights`."""
    if class_weights not in get_args(ClassWeights):
        raise ValueError(f"class_weights must be one of {', '.join(get_args(ClassWeights))}, not {class_weights!r}")
    weights = None if class_weights == "none" else statistics.weights()[class_weights]
    return ScaledBCE(scale, None if weights is None else torch.from_numpy(weights).float())


class ScaledBCE(nn.Module):
    """Logits (N, C), many-hot targets (N, C) -> scalar."""

    weights: Tensor | None

    def __init__(self, scale: float, weights: Tensor | None) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """`scale` x the weighted mean of the N x C binary cross-entropies."""
        return self.scale * F.binary_cross_entropy_with_logits(logits, targets, weight=self.weights)
