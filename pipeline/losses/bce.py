"""Binary cross-entropy with a scale: the report's loss is 160 x the mean over videos and classes.

With plain SGD a scale of k is a learning rate of k times as much with a weight decay of 1/k, and it moves the point at
which gradients are clipped: the two are not the same setting.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL

ClassWeights = Literal["none", "sqrt", "linear", "inverse_sqrt", "inverse_linear"]

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = True
MEAN_OVER = "videos"


def build(
    statistics: ClassStatistics, *, scale: float = 1.0, class_weights: ClassWeights = "none", smoothing: float = 0.0
) -> nn.Module:
    """Module that computes the scaled mean BCE, see `ScaledBCE`.

    Args:
        statistics: class statistics of the training split, for the class weights.
        scale: factor of the mean.
        class_weights: one of the formulas of `ClassStatistics.class_weights`; the mean still divides by N x C, so
            weights that are not 1 on average move the scale of the loss.
        smoothing: label smoothing e, 0 <= e < 1; see `ScaledBCE`.

    Raises:
        ValueError: an option is out of range.
    """
    if class_weights not in get_args(ClassWeights):
        raise ValueError(f"class_weights must be one of {', '.join(get_args(ClassWeights))}, not {class_weights!r}")
    weights = None if class_weights == "none" else torch.from_numpy(statistics.class_weights()[class_weights]).float()
    return ScaledBCE(scale, weights, smoothing)


class ScaledBCE(nn.Module):
    """Binary cross-entropy with a scale: logits (N, C), targets in 0..1 (N, C) -> scalar, the mean times the scale.

    A target below 0 is not known and costs nothing; the mean divides by all N x C.
    Label smoothing e replaces a target y by (1 - e) y + e / 2: Szegedy et al., "Rethinking the Inception Architecture",
    CVPR 2016, arXiv:1512.00567, section 7, where the prior is uniform; each class here is a choice of two. Keras'
    BinaryCrossentropy does the same, while timm's spreads e over the C classes instead. The optimal logit of a class
    is then within ln((2 - e) / e) of zero, and an absent class is asked for e / 2: of 313 classes with 2 or 3 present,
    e = 0.1 makes most of what is asked for.
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
        """Mean of the N x C weighted binary cross-entropies, times `scale`."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weight, smooth = self._weight(logits, targets), self._smooth(targets)
        return self.scale * F.binary_cross_entropy_with_logits(logits, smooth, weight=weight)

    def parts(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What the classes that are present, and those that are absent, add to the loss; the two sum to it."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weight, smooth = self.scale * self._weight(logits, targets), self._smooth(targets)
        present, absent = smooth * F.softplus(-logits), (1 - smooth) * F.softplus(logits)
        return {"present": (weight * present).mean(), "absent": (weight * absent).mean()}

    def _weight(self, logits: Tensor, targets: Tensor) -> Tensor:
        known = (targets >= 0).to(logits.dtype)
        return known if self.class_weights is None else known * self.class_weights

    def _smooth(self, targets: Tensor) -> Tensor:
        return (1 - self.smoothing) * targets.clamp(min=0) + self.smoothing / 2
