"""Weighted approximate-rank pairwise loss (WARP): a hinge that weighs more the lower a present class stands.

Weston, Bengio, Usunier: "WSABIE", IJCAI 2011; for many labels Gong et al.: "Deep Convolutional Ranking for Multilabel
Image Annotation", ICLR 2014, arXiv:1312.4894. A label j of a video with logits s costs

    H(r_j)  x  mean over absent i of max(0, 1 + s_i - s_j),     H(r) = 1 + 1/2 + ... + 1/r,

where r_j is the rank of s_j among all known classes, 1 for the highest. "Approximate" is the papers' sampled rank; here
it is exact. The mean over absent classes, instead of their sum, is that of the release of Multi-Moments in Time
(moments_models), whose own loss takes another class' rank and has no finite gradient.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL
from pipeline.losses._ranking import scores_and_presence

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = False
MEAN_OVER = "labels"


def build(_statistics: ClassStatistics, *, scale: float = 1.0) -> nn.Module:
    """Module that computes WARP, see `WARP`.

    Args:
        scale: factor of the loss, greater than 0.
    """
    return WARP(scale)


class WARP(nn.Module):
    """WARP: logits (N, C), targets 0, 1 or -1 (N, C) -> scalar, the mean over the labels of the batch times `scale`.

    A video counts as often as it has labels: one without adds nothing, and one with all classes adds zeros. A batch
    without any label costs 0. The rank is a constant to the gradient; a tie counts as lost, so that where all logits
    are equal every label has the lowest rank and the strongest pull.

    Raises:
        ValueError: `scale` is not positive.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        self.scale = scale

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over present classes, times `scale`.

        Raises:
            ValueError: targets are not of the logits' shape, or not 0, 1 or -1.
        """
        logits, present, absent = scores_and_presence(logits, targets)
        weights = _rank_weights(logits.masked_fill(~(present | absent), -torch.inf))
        losses = weights * _hinges(logits, absent) / absent.sum(dim=1, keepdim=True).clamp(min=1)
        return self.scale * losses.masked_fill(~present, 0).sum() / present.sum().clamp(min=1)


def _rank_weights(logits: Tensor) -> Tensor:
    """Weights H(rank) of each class, (N, C)."""
    descending = -logits.sort(dim=1, descending=True).values  # negated, for searchsorted wants it to ascend
    ranks = torch.searchsorted(descending, -logits, right=True)  # the number of classes that score as high or higher
    harmonic = torch.arange(1, logits.shape[1] + 1, dtype=logits.dtype, device=logits.device).reciprocal().cumsum(0)
    return harmonic[ranks - 1]


def _hinges(logits: Tensor, is_absent: Tensor) -> Tensor:
    """Sum over absent i of max(0, 1 + s_i - s_j) for each class j, (N, C).

    The absent classes within reach of j are the first k in descending order, so k (1 - s_j) and a running sum of the
    sorted logits replace the N x C x C differences. It needs O(N C log C) time and N x C memory.
    """
    logits = logits - logits.detach().amax(dim=1, keepdim=True)  # differences stay; sums near zero lose no digits
    absent = logits.masked_fill(~is_absent, -torch.inf).sort(dim=1, descending=True).values
    reach = torch.searchsorted(-absent, 1 - logits)  # k
    sums = F.pad(absent.cumsum(dim=1), (1, 0))  # (N, C + 1): of the first k, for k = 0..C
    return reach * (1 - logits) + sums.gather(1, reach)
