"""Which task a corpus has."""

from typing import get_args

import pandas as pd
import pytest

from pipeline.core import task
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord


def corpus(*labels: str) -> Manifest:
    records = [VideoRecord(f"{row}.mp4", "train", f"{row}.mp4", text, "1-x") for row, text in enumerate(labels)]
    return Manifest(pd.DataFrame(records, columns=list(VideoRecord._fields)), ("jump", "run"))


@pytest.mark.parametrize(
    ("setting", "labels", "expected"),
    [
        ("auto", ("jump", "run"), "single_label"),
        ("auto", ("jump", "run", ""), "single_label"),  # a test video without a label has not several
        ("auto", ("jump", "run", "jump;run"), "multi_label"),
        ("auto", ("jump", "run", ";"), "multi_label"),  # one that shows none of the classes
        ("auto", ("jump", "run", "?run"), "multi_label"),  # one of which not all is known
        ("single_label", ("jump", "run", ""), "single_label"),
        ("multi_label", ("jump", "run"), "multi_label"),
        ("multi_label", ("jump", "jump;run"), "multi_label"),
    ],
)
def test_auto_looks_at_the_labels_and_the_others_are_what_they_say(setting, labels, expected):
    assert task.resolve(setting, corpus(*labels)) == expected
    assert expected in task.TASKS


def test_a_video_of_two_labels_is_named_where_each_should_have_one():
    with pytest.raises(UserError, match=r"single_label, but 1\.mp4 has the labels 'jump;run' \(2 such videos\)"):
        task.resolve("single_label", corpus("jump", "jump;run", "run", "run;jump"))


def test_a_video_of_no_class_is_named_where_each_should_have_one():
    with pytest.raises(
        UserError, match=r"single_label, but 1\.mp4 shows none of the classes \(dataset\.unlabelled: neg"
    ):
        task.resolve("single_label", corpus("jump", ";", "run"))


def test_all_tasks_are_listed():
    assert get_args(task.Task) == task.TASKS


def test_a_video_of_which_not_all_is_known_is_named_where_each_should_have_one_label():
    with pytest.raises(UserError, match=r"of 1\.mp4 some labels are not known \('\?run'\), and cross-entropy"):
        task.resolve("single_label", corpus("jump", "?run", "run"))
