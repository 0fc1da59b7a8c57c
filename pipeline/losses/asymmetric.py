"""Asymmetric loss (ASL): binary cross-entropy that looks away from absent classes that are scored low already.

Ridnik, Ben-Baruch et al.: "Asymmetric Loss For Multi-Label Classification", ICCV 2021, arXiv:2009.14119, section
2. With p = sigmoid(logit), margin m and p_m = max(p - m, 0), a class costs

    -(1 - p)^gamma_pos  log(p)          where it is present,
    -p_m^gamma_neg      log(1 - p_m)    where it is absent.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.class_stats import ClassStatistics
from pipeline.core.task import MULTI_LABEL

TASKS = (MULTI_LABEL,)
SOFT_TARGETS = True
MEAN_OVER = "videos"


def build(
    _statistics: ClassStatistics,
    *,
    scale: float = 1.0,
    gamma_neg: float = 4.0,
    gamma_pos: float = 0.0,
    clip: float = 0.05,
    detach_focus: bool = False,
) -> nn.Module:
    """Module that computes the scaled mean ASL; see `AsymmetricLoss` for the options."""
    return AsymmetricLoss(scale, gamma_neg, gamma_pos, clip, detach_focus=detach_focus)


class AsymmetricLoss(nn.Module):
    """Asymmetric loss: logits (N, C), targets in 0..1 (N, C) -> scalar.

    The mean over videos and classes, so that without focus and clip it is BCE; the paper sums over the classes, which
    is a scale of C. A target between 0 and 1 mixes the two costs, and one below 0 is not known and costs nothing.

    Args:
        scale: factor of the mean.
        gamma_neg: focus on absent classes that are scored high; 0 is none.
        gamma_pos: focus on present classes that are scored low. 0 as in the paper; its code starts from 1.
        clip: the paper's m; an absent class below this probability costs nothing.
        detach_focus: leave the powers out of the gradient, an option of the paper's code. The gradient that the
            paper derives goes through them.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(self, scale: float, gamma_neg: float, gamma_pos: float, clip: float, *, detach_focus: bool) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be greater than 0, not {scale}")
        if not (gamma_neg >= 0 and gamma_pos >= 0):
            raise ValueError(f"gamma_neg and gamma_pos must not be negative, but are {gamma_neg} and {gamma_pos}")
        if not 0 <= clip < 1:
            raise ValueError(f"clip is a probability, at least 0 and less than 1, not {clip}")
        self.scale = scale
        self.gamma_neg, self.gamma_pos, self.clip = gamma_neg, gamma_pos, clip
        self.detach_focus = detach_focus

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean of the N x C asymmetric losses, times `scale`.

        Raises:
            ValueError: targets are not of the logits' shape.
        """
        present, absent = self._gains(logits, targets)
        return -self.scale * (present + absent).mean()

    def parts(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What the classes that are present, and those that are absent, add to the loss; the two sum to it."""
        present, absent = self._gains(logits, targets)
        return {"present": -self.scale * present.mean(), "absent": -self.scale * absent.mean()}

    def _gains(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted log-probabilities (N, C) of presence and of absence."""
        if targets.shape != logits.shape:
            raise ValueError(f"logits are {tuple(logits.shape)}, but targets {tuple(targets.shape)}")
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        known, targets = targets >= 0, targets.clamp(min=0)
        log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
        log_clip = logits.new_full((), math.log(self.clip) if self.clip else -math.inf)
        log_not_p_m = torch.logaddexp(log_not_p, log_clip).clamp(max=0)  # 1 - p_m = min(1 - p + m, 1)
        focus_pos = (self.gamma_pos * log_not_p).exp()
        # Not to 0, where a power below 1 has an infinite slope, and infinite x 0 cost is not a number.
        focus_neg = (logits.sigmoid() - self.clip).clamp(min=torch.finfo(logits.dtype).tiny) ** self.gamma_neg
        if self.detach_focus:
            focus_pos, focus_neg = focus_pos.detach(), focus_neg.detach()
        return known * targets * focus_pos * log_p, known * (1 - targets) * focus_neg * log_not_p_m
