"""What scores show of what they are, on files made in every way that another program makes them."""

import numpy as np
import pytest
import scipy.special

from pipeline.core.errors import UserError
from pipeline.predictions.logits import check_kind

RAW = np.random.default_rng(0).normal(0, 3, (40, 6))
LABELS = np.eye(6)[np.arange(40) % 6]
SOFTMAX, SIGMOID = scipy.special.softmax(RAW, axis=1), scipy.special.expit(RAW)


@pytest.mark.parametrize(
    ("values", "kind", "views", "message"),
    [
        (LABELS, "probabilities", 1, "holds 0 and 1 alone: labels"),
        (LABELS, "logits", 1, "holds 0 and 1 alone: labels"),
        (30 * LABELS, "probabilities", 30, "holds 0 and 30 alone: labels"),
        (2 * LABELS - 1, "logits", 1, "holds -1 and 1 alone: labels"),
        (np.clip(LABELS, 1e-7, 1 - 1e-7), "probabilities", 1, "holds 1e-07 and 1 alone: labels"),
        (0.9 * LABELS + 0.05, "probabilities", 1, r"holds 0.05 and 0.95 alone: labels"),
        (30 * (0.9 * LABELS + 0.05), "probabilities", 30, r"holds 1.5 and 28.5 alone: labels"),
        (100 * LABELS, "logits", 1, "holds 0 and 100 alone: labels"),
        (SIGMOID, "probabilities", 30, r"all scores lie in 0..1, as those of one view do.*Leave --views out"),
        (30 * SIGMOID, "logits", 1, r"no score is negative, the largest is .*take --values probabilities and --views"),
        (100 * SIGMOID, "logits", 30, r"no score is negative.*100 for per cent"),
        (SOFTMAX, "logits", 1, "are called logits"),
        (SOFTMAX[:1], "logits", 1, "all scores lie in 0..1, as probabilities do, and they are called logits"),
        (SIGMOID, "logits", 1, "all scores lie in 0..1, as probabilities do, and they are called logits"),
        (30 * SOFTMAX, "probabilities", 1, "Take --views 30"),
        (30 * SOFTMAX, "probabilities", 60, "Take --views 30"),
        (30 * SOFTMAX, "logits", 1, "Take --values probabilities --views 30"),
    ],
)
def test_scores_that_are_not_what_they_are_called_are_refused(values, kind, views, message):
    with pytest.raises(UserError, match=f"theirs.csv.*{message}"):
        check_kind(values, kind, views, "theirs.csv")


@pytest.mark.parametrize(
    ("values", "kind", "views", "remark"),
    [
        (SIGMOID, "probabilities", 1, False),
        (30 * SIGMOID, "probabilities", 30, False),
        (RAW, "logits", 1, False),
        (np.log(SOFTMAX), "logits", 1, True),
        (np.log(SIGMOID), "logits", 1, False),
        (-np.abs(RAW), "logits", 1, False),
        (np.abs(RAW[:2]), "logits", 1, False),
        (RAW[:1, :2], "logits", 1, False),
        (SOFTMAX, "probabilities", 1, True),
        (30 * SOFTMAX, "probabilities", 30, True),
        (np.where(LABELS > 0, 0.75, 0.125), "probabilities", 1, False),
    ],
)
def test_scores_that_are_what_they_are_called_are_taken(values, kind, views, remark):
    assert bool(check_kind(values, kind, views, "theirs.csv")) == remark
