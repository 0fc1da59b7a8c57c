"""Weighted log-sum-exp pairwise loss (wLSEP): a ranking, label by label, that may favour rare classes.

Monfort et al.: "Multi-Moments in Time", arXiv:1911.00232, and its release (moments_models). A label j of a video with
logits s costs

    w_j log(1 + sum over absent i of exp(s_i - s_j)),

which is -w_j log softmax of s_j among itself and the absent classes.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL
from pipeline.losses._ranking import scores_and_presence

ClassWeights = Literal["none", "min_count"]

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = False
MEAN_OVER = "labels"


def build(statistics: ClassStatistics, *, scale: float = 1.0, class_weights: ClassWeights = "none") -> nn.Module:
    """Module that computes the scaled wLSEP, see `WLSEP`.

    Args:
        statistics: class statistics of the training split, for the class weights.
        scale: factor of the mean.
        class_weights: min_count is w_j = (least number of videos that a class has) / (number that class j has), as in
            the release: the rarest class weighs 1, all others less. The average label weighs C min(counts) /
            sum(counts), by which the loss becomes smaller.

    Raises:
        ValueError: an option is out of range.
    """
    if class_weights not in get_args(ClassWeights):
        raise ValueError(f"class_weights must be one of {', '.join(get_args(ClassWeights))}, not {class_weights!r}")
    weights = torch.from_numpy(statistics.counts.min() / statistics.counts).float()
    return WLSEP(scale, None if class_weights == "none" else weights)


class WLSEP(nn.Module):
    """WLSEP: logits (N, C), targets 0, 1 or -1 (N, C) -> scalar, the mean over the labels of the batch times `scale`.

    A video counts as often as it has labels: one without adds nothing, and one with all classes adds zeros. The mean
    divides by the number of labels, not by the sum of their weights. A batch without any label costs 0.

    Args:
        scale: factor of the mean.
        class_weights: w, float (C,); None is 1 for all.

    Raises:
        ValueError: `scale` is not positive.
    """

    class_weights: Tensor | None

    def __init__(self, scale: float, class_weights: Tensor | None = None) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        self.scale = scale
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over present classes, times `scale`.

        Raises:
            ValueError: targets are not of the logits' shape, or not 0, 1 or -1.
        """
        logits, present, is_absent = scores_and_presence(logits, targets)
        absent = logits.masked_fill(~is_absent, -torch.inf).logsumexp(dim=1, keepdim=True)  # (N, 1)
        losses = F.softplus(absent - logits).masked_fill(~present, 0)
        if self.class_weights is not None:
            losses = self.class_weights * losses
        return self.scale * losses.sum() / present.sum().clamp(min=1)
