"""Log-sum-exp pairwise loss (LSEP): a smooth ranking of the classes of a video above all others.

Li, Song, Luo: "Improving Pairwise Ranking for Multi-label Image Classification", CVPR 2017, arXiv:1704.03135; here
over all pairs, where the paper samples some. A video with logits s costs

    log(1 + sum over pairs (absent i, present j) of exp(s_i - s_j)).

The release of Multi-Moments in Time (moments_models) sums over the batch before the logarithm and overflows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL
from pipeline.losses._ranking import scores_and_presence

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = False
MEAN_OVER = "videos"


def build(_statistics: ClassStatistics, *, scale: float = 1.0) -> nn.Module:
    """Module that computes LSEP, see `LSEP`.

    Args:
        scale: factor of the loss, greater than 0.
    """
    return LSEP(scale)


class LSEP(nn.Module):
    """LSEP: logits (N, C), targets 0, 1 or -1 (N, C) -> scalar, the mean over videos times `scale`.

    A video without a present or without an absent class has no pair: it costs log(1) = 0 and counts in the mean.

    Raises:
        ValueError: `scale` is not positive.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        self.scale = scale

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean of the N videos' losses, times `scale`.

        Raises:
            ValueError: targets are not of the logits' shape, or not 0, 1 or -1.
        """
        logits, present, is_absent = scores_and_presence(logits, targets)
        # The sum over pairs is a product of two sums, so nothing is larger than N x C.
        absent = logits.masked_fill(~is_absent, -torch.inf).logsumexp(dim=1)  # (N,)
        missing = (-logits).masked_fill(~present, -torch.inf).logsumexp(dim=1)
        return self.scale * F.softplus(absent + missing).mean()
