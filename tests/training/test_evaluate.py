"""The validation of an epoch against scikit-learn, on scores that can be read by eye."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import label_ranking_average_precision_score
from torch import nn

from pipeline.layers.normalize import InputSpec
from pipeline.runtime import distributed
from pipeline.training.evaluate import evaluate
from tests.support import tiny

SPEC = InputSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SCORES = np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.3], [0.5, 0.6, 0.1]])
TARGETS = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 1]])


class First(nn.Module):
    """Looks its logits up by the first pixel of a clip."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.scores = torch.tensor(scores, dtype=torch.float32)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return self.scores[(clips[:, 0, 0, 0, 0] * 255).round().long()]


def batches() -> list[dict[str, torch.Tensor]]:
    """Three videos in two batches: the first pixel of each is its number."""
    clips = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1, 1, 1).expand(3, 1, 3, 2, 4, 4)
    return [{"centre": clips[:2]}, {"centre": clips[2:]}]


def score(scores: np.ndarray, tmp_path) -> float:
    fabric = distributed.launch(tiny.machine(tmp_path))
    return evaluate(First(scores), SPEC, batches(), TARGETS, fabric, "validate 1/1")


def test_the_score_is_label_ranking_average_precision(tmp_path):
    assert score(SCORES, tmp_path) == pytest.approx(100 * label_ranking_average_precision_score(TARGETS, SCORES))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_worse_than_any(tmp_path, bad):
    assert score(np.where(SCORES == 0.8, bad, SCORES), tmp_path) == -math.inf
