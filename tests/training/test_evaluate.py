"""The validation of an epoch against scikit-learn, on scores that can be read by eye."""

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, label_ranking_average_precision_score, log_loss
from torch import nn

from pipeline.core.task import Task
from pipeline.layers.normalize import InputSpec
from pipeline.runtime import distributed
from pipeline.training import evaluate
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


def found(scores: np.ndarray, targets: np.ndarray, task: Task, tmp_path) -> dict[str, float]:
    fabric = distributed.launch(tiny.machine(tmp_path))
    return evaluate.evaluate(First(scores), SPEC, batches(), targets, fabric, "validate 1/1", task)[0]


def score(scores: np.ndarray, tmp_path) -> float:
    (score,) = found(scores, TARGETS, "multi_label", tmp_path).values()
    return score


def test_the_score_is_label_ranking_average_precision(tmp_path):
    assert score(SCORES, tmp_path) == pytest.approx(100 * label_ranking_average_precision_score(TARGETS, SCORES))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_worse_than_any(tmp_path, bad):
    assert score(np.where(SCORES == 0.8, bad, SCORES), tmp_path) == -math.inf


def test_where_each_video_has_one_label_the_scores_are_accuracy_and_cross_entropy(tmp_path):
    label = np.array([0, 0, 1])
    validation = found(SCORES, np.eye(3, dtype=np.uint8)[label], "single_label", tmp_path)

    assert validation == {
        "val_top1": pytest.approx(100 * accuracy_score(label, SCORES.argmax(axis=1))),
        "val_cross_entropy": pytest.approx(log_loss(label, softmax(SCORES, axis=1), labels=[0, 1, 2])),
    }
    lost = found(np.where(SCORES == 0.8, math.nan, SCORES), np.eye(3)[label], "single_label", tmp_path)
    assert lost == {"val_top1": -math.inf, "val_cross_entropy": math.inf}


def test_a_sample_of_train_has_so_many_videos_of_it_and_is_always_the_same(tmp_path):
    train = tiny.corpus(tmp_path)[0].split("train")
    sample = evaluate.sample(train, 5)
    assert len(sample) == 5
    assert set(sample.videos) < set(train.videos)
    assert evaluate.sample(train, 5).videos == sample.videos
    assert evaluate.sample(train, 100).videos == train.videos
    assert len(evaluate.sample(train, 0)) == 0


def test_the_first_of_the_highest_epochs_is_the_best():
    history = [{"val_mAP": value} for value in (50.0, 70.0, -math.inf, 70.0)]
    assert evaluate.best(history, "multi_label") == 1
    assert evaluate.best(history[2:3], "multi_label") == -1
    assert evaluate.best([], "multi_label") == -1


def test_the_lower_cross_entropy_decides_between_equal_accuracies():
    rows = [(50.0, 0.9), (60.0, 2.0), (60.0, 1.5), (60.0, 1.5), (-math.inf, math.inf)]
    history = [{"val_top1": top1, "val_cross_entropy": loss} for top1, loss in rows]
    assert evaluate.best(history, "single_label") == 2
    assert evaluate.best(history[:2], "single_label") == 1
    assert evaluate.best(history[4:], "single_label") == -1
