"""Filters and orders against a loop over plain rows."""

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS
from pipeline.ui.query import Query


def plain(catalogue, video, model="ensemble"):
    """All that a filter may ask of a video, as a person would look it up."""
    scores = catalogue.scores(model, video)
    best = None if scores is None else int(np.argmax(scores))
    labels = catalogue.names(video)
    return {
        "video": catalogue.videos[video].as_py(),
        "split": SPLITS[catalogue.split[video]],
        "labels": labels,
        "broken": video in catalogue.broken,
        "reason": catalogue.broken[video].reason if video in catalogue.broken else None,
        "scores": scores,
        "answer": None if best is None else catalogue.classes[best],
        "high": None if best is None else scores[best],
        "apart": None if np.isnan(catalogue.apart[video]) else catalogue.apart[video],
        "marked": video % 5 == 0,
    }


FILTERS = {
    "name=CLIP_00001": lambda v: "clip_00001" in v["video"].lower(),
    "name=*": lambda v: False,
    "label=class 003": lambda v: "class 003" in v["labels"],
    "split=val&status=ok": lambda v: v["split"] == "val" and not v["broken"],
    "status=broken": lambda v: v["broken"],
    "status=empty": lambda v: v["reason"] == "empty",
    "answer=class 002": lambda v: v["answer"] == "class 002",
    "outcome=right": lambda v: v["answer"] in v["labels"],
    "outcome=wrong": lambda v: v["answer"] is not None and v["answer"] not in v["labels"],
    "low=0.5&high=0.7": lambda v: v["high"] is not None and 0.5 <= v["high"] <= 0.7,
    "of=class 001&low=0.4": lambda v: v["scores"] is not None and v["scores"][1] >= 0.4,
    "of=class 001&high=0.4": lambda v: v["scores"] is not None and v["scores"][1] <= 0.4,
    "apart=0.5": lambda v: v["apart"] is not None and v["apart"] >= 0.5,
    "marked=yes&split=test": lambda v: v["marked"] and v["split"] == "test",
    "marked=no": lambda v: not v["marked"],
    "": lambda v: True,
}


def asked(text, catalogue):
    return Query.of_address(dict(part.split("=") for part in text.split("&") if part), catalogue)


@pytest.mark.parametrize("model", ["ensemble", "m1"])
@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_keeps_what_a_loop_keeps(catalogue, text, model):
    videos = range(len(catalogue))
    marked = np.array([video % 5 == 0 for video in videos])
    expected = [video for video in videos if FILTERS[text](plain(catalogue, video, model))]
    found = asked(f"model={model}&{text}", catalogue).rows(catalogue, marked)
    assert found.tolist() == expected
    assert text == "name=*" or len(expected) > 0


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("confident", lambda v: -v["high"]),
        ("unsure", lambda v: v["high"]),
        ("apart", lambda v: -v["apart"]),
        ("label", None),
    ],
)
def test_an_order_is_that_of_sorted_and_videos_without_an_answer_come_last(catalogue, sort, key):
    nobody = np.zeros(len(catalogue), bool)
    found = asked(f"sort={sort}", catalogue).rows(catalogue, nobody).tolist()
    rows = [(video, plain(catalogue, video)) for video in range(len(catalogue))]

    def lowest(row):
        return min(row["scores"][catalogue.classes.index(name)] for name in row["labels"])

    answered = [(video, row) for video, row in rows if row["high"] is not None]
    expected = [video for video, row in sorted(answered, key=lambda pair: (key or lowest)(pair[1]))]
    assert found[: len(expected)] == expected
    assert sorted(found) == list(range(len(catalogue)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("split=vall", "split: there is no 'vall'. Did you mean 'val'"),
        ("label=class 03", "Did you mean 'class 003'"),
        ("model=m9", "model: there is no 'm9'"),
        ("sort=name", "sort: there is no 'name'"),
        ("low=1.5", "low: '1.5' is no number in 0..1"),
        ("high=nan", "high: 'nan' is no number"),
        ("apart=x", "apart: 'x' is no number"),
        (f"name={'x' * 501}", "name is longer than 500 characters"),
    ],
)
def test_a_field_that_asks_for_nothing_there_is_is_refused(catalogue, text, said):
    with pytest.raises(UserError, match=said):
        asked(text, catalogue)


def test_an_address_asks_the_same_again(catalogue):
    from urllib.parse import parse_qsl

    one = Query(name="a&b=c", label="class 001", low="0.5", sort="apart")
    assert dict(parse_qsl(one.address(page=3))) == {
        "name": "a&b=c", "label": "class 001", "low": "0.5", "sort": "apart", "page": "3",
    }  # fmt: skip
    assert Query.of_address(dict(parse_qsl(one.address())), catalogue) == one
