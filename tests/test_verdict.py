"""Verdicts on answers that know nothing, only the frequencies, a little, and all."""

import numpy as np
import pytest

from pipeline import chance, verdict
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, TASKS

BALANCED = np.eye(11, dtype=np.uint8)[np.arange(33) % 11]
SKEWED = np.eye(3, dtype=np.uint8)[[0] * 60 + [1] * 10 + [2] * 10]


def judge(task, scores, targets) -> verdict.Verdict:
    return verdict.judge("tsn_demo", "val", task, scores, targets, chance.random_answers(task, targets))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_better_than_chance(task, seed):
    found = judge(task, np.random.default_rng(seed).random(BALANCED.shape), BALANCED)
    assert not found.better
    assert "no better than chance on val" in found.sentence()


@pytest.mark.parametrize("task", TASKS)
def test_a_constant_answer_that_knows_the_frequent_class_has_learnt_nothing_of_the_videos(task):
    found = judge(task, np.tile([0.7, 0.2, 0.1], (80, 1)), SKEWED)
    assert found.figure > found.random.clear
    assert found.state == "frequencies"
    assert "no better than chance on val: it has learnt which classes are frequent" in found.sentence()


@pytest.mark.parametrize("task", TASKS)
def test_who_knows_is_better_than_chance(task):
    found = judge(task, np.random.default_rng(0).random(BALANCED.shape) + BALANCED, BALANCED)
    assert found.state == "better"
    assert "tsn_demo is better than chance on val" in found.sentence()


def test_a_figure_a_little_above_the_interval_may_be_luck():
    right = np.arange(33) < 8  # 24 %, where 95 % of random answers end at 21 %
    scores = np.where(right[:, None], BALANCED, np.roll(BALANCED, 1, axis=1)).astype(float)
    found = judge(SINGLE_LABEL, scores, BALANCED)
    assert found.state == "unclear"
    assert found.sentence().startswith("tsn_demo may be no better than chance on val (top-1 accuracy 24.2; chance 9.1")
    limit = max(found.random.clear, found.shuffled.clear)
    assert found.sentence().endswith(f"; the best of several models and epochs gets up to {limit:.1f} by luck).")


def test_where_all_classes_are_labels_there_is_only_chance():
    assert judge(MULTI_LABEL, np.random.default_rng(0).random((5, 3)), np.ones((5, 3), np.uint8)).state == "chance"


def test_a_training_at_chance_whose_loss_stood_still_is_told():
    scores = np.random.default_rng(0).normal(size=BALANCED.shape)
    history = [{"loss": x} for x in (2.5, 2.40, 2.41, 2.40, 2.39)]
    said = verdict.of_training(SINGLE_LABEL, scores, BALANCED, history)
    assert said[0].startswith("The model is no better than chance on the centre clips of val (top-1 accuracy")
    assert said[1] == "The best epoch was picked on these same val videos."
    assert said[2] == (
        "The loss has been flat since epoch 2 (2.400, at the end 2.390): try a higher train.optim.lr, more epochs, or "
        "labels that the frames can show."
    )
    assert "train.pretrained: imagenet" in verdict.of_training(SINGLE_LABEL, scores, BALANCED, history, False)[2]


@pytest.mark.parametrize("losses", [(2.5,), (2.5,) * 4, (2.5, 2.4, 2.4, 2.4, 2.2), (2.5, 2.4, 2.2, 2.3, 2.45)])
def test_a_loss_that_fell_or_had_no_time_to_is_not_flat(losses):
    assert verdict.flat_loss(losses, pretrained=False) == []


@pytest.mark.parametrize(
    ("ends", "said"), [((-4, 9), "is not shown"), ((0.5, 9), "is better than"), ((-9, -1), "is worse than")]
)
def test_a_gain_is_told_only_where_the_interval_shows_one(ends, said):
    assert said in verdict.gain("tsn", "test", (3.0, *ends))


@pytest.mark.parametrize(
    ("videos", "points", "said"),
    [
        (33, 12.3, "33 val videos: differences of less than 12 points say nothing."),
        (100, 1.0, "100 val videos: differences of less than 1 point say nothing."),
        (900, 1.4, "900 val videos: differences of less than 1.4 points say nothing."),  # and not of less than 1
        (30_000, 0.26, "30,000 val videos: differences of less than 0.26 points say nothing."),  # and not of 0
        (1, 100.0, "1 val video: differences of less than 100 points say nothing."),
    ],
)
def test_the_smallest_difference_that_says_something_is_no_rounded_zero(videos, points, said):
    assert verdict.resolution(videos, "val", points) == said
