"""The ensemble's answer as a network: the members' logits of a video's views -> the probability of every class.

It computes what `predictions/view_scores.py` and `ensemble/averaging.py` do, with the same precision at each step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, Task

MEANS = ("probability", "logit")
"""Scales that a graph can average on."""
_LOWEST, _HIGHEST = float(np.finfo(np.float32).tiny), float(np.nextafter(np.float32(1), np.float32(0)))
"""Those of `averaging.scale`."""


def check(mean: str) -> None:
    """Refuse a mean of which a graph cannot be held to this pipeline's answers.

    Raises:
        UserError: it is that of ranks.
    """
    if mean not in MEANS:
        raise UserError(
            f"The ensemble averages on the scale {mean!r}, which `pipeline export` does not write: between two "
            "runtimes scores differ by 1e-7, and where they nearly tie, that moves a rank by a whole place. Set "
            "ensemble.mean to probability or logit in conf/config.yaml, then `pipeline params` and `dvc repro "
            "ensemble`; or export the members one by one."
        )


class Fusion(nn.Module):
    """Weighted mean of M members, each the mean over its views.

    Shape: M tensors (N, K, C) of logits, for N videos, K views (a number of each member's own) and C classes -> (N, C)
    in 0..1. Where it is `partial`, `sees` comes before them, bool (N, M): which members see which videos.

    Args:
        weights: (M, C).
        mean: one of `MEANS`.
        task: whether a view's probabilities are the sigmoid or the softmax of its logits.
        partial: whether members do not see every video, as one that hears does not see a video without sound, nor one
            that takes flow a video without. They are left out of it, as `ensemble/unseen.py` has it: the weights of the
            others are divided by their sum, class by class; where none of the others has any, those that see the video
            count alike. Their logits may be any numbers. A video that nobody sees, which has the class prior there, is
            answered by the weights.
    """

    weights: Tensor

    def __init__(self, weights: np.ndarray, mean: str, task: Task, *, partial: bool = False) -> None:
        super().__init__()
        check(mean)
        self.mean, self.multi_label, self.partial = mean, task == MULTI_LABEL, partial
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Who sees what, where it is partial, and the members' logits, in their order -> the ensemble's answer."""
        if not self.partial:
            return self._fused(self.weights.unbind(), inputs)
        sees, *logits = inputs
        return self._fused(self._shares(sees).unbind(dim=1), logits)

    def _fused(self, shares: Sequence[Tensor], logits: Sequence[Tensor]) -> Tensor:
        """The members by their shares, each (C,) or (N, C)."""
        scaled = [self._scale(self._probabilities(member.double()).mean(dim=1).float()) for member in logits]
        total = sum(share * member.double() for share, member in zip(shares, scaled, strict=True))
        assert isinstance(total, Tensor)
        return (self._probabilities(total) if self.mean == "logit" else total).float()

    def _shares(self, sees: Tensor) -> Tensor:
        """The shares of the members, (N, M, C)."""
        inside = sees.double().unsqueeze(2)
        number = inside.sum(dim=1, keepdim=True)
        left = self.weights * inside
        total = left.sum(dim=1, keepdim=True)
        nobody = total == 0
        shares = torch.where(nobody, inside / number.clamp(min=1), left / (total + nobody.double()))
        some = (number > 0) & (number < len(self.weights))
        return torch.where(some, shares, self.weights)

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=-1)

    def _scale(self, probabilities: Tensor) -> Tensor:
        if self.mean == "probability":
            return probabilities
        inside = probabilities.clamp(_LOWEST, _HIGHEST)
        return (inside / (1 - inside)).log() if self.multi_label else inside.log()
