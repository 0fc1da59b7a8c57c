"""Labels as texts against a loop over their names."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.core import labels
from pipeline.core.errors import UserError

CLASSES = ("jump", "run", "run?", "swim")
TEXTS = ["run;jump", ";", "", "?swim", "run?;?run;?jump", "swim", "jump;?run?"]


def by_hand(text: str) -> list[int]:
    names = text.split(";")
    return [1 if name in names else -1 if f"?{name}" in names else 0 for name in CLASSES]


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:3], ["?run"], ["", ";"]], ids=len)
def test_a_label_is_one_and_one_that_nobody_knows_minus_one(texts):
    found = labels.many_hot(pd.Series(texts, dtype=str), CLASSES)
    assert found.tolist() == [by_hand(text) for text in texts]
    assert found.dtype == np.int8


@pytest.mark.parametrize("text", ["run;dive", "?dive"])
def test_a_label_of_no_class_is_refused_and_not_taken_for_the_last_one(text):
    with pytest.raises(UserError, match=re.escape(f"The labels {text!r} are not all of the 4 classes")):
        labels.many_hot(pd.Series(["run", "", text]), CLASSES)


def test_pairs_are_in_the_order_of_the_texts_and_name_what_is_no_class():
    texts = pd.Series(["run;dive", "?run;jump;?dive"])
    assert [pair.tolist() for pair in labels.pairs(texts, CLASSES)] == [[0, 0, 1], [1, -1, 0]]
    assert [pair.tolist() for pair in labels.unknown_pairs(texts, CLASSES)] == [[1, 1], [1, -1]]


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        ("run;jump", ("run", "jump"), ()),
        ("run;?jump", ("run",), ("jump",)),
        ("?jump", ("",), ("jump",)),
        ("", ("",), ()),
        (";", ("", ""), ()),  # a stratum of its own, which no split of old may lose
    ],
)
def test_a_text_is_taken_apart(text, shown, hidden):
    assert labels.shown(text) == shown
    assert labels.hidden(text) == hidden
