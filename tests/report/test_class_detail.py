"""What is told of one class when it is opened, against counts by hand."""

import numpy as np

from pipeline.predictions.table import PredictionTable
from pipeline.report import class_detail


def test_a_video_of_which_nobody_knows_is_neither_a_find_nor_a_false_alarm():
    labels = ("run", "?run;jump", "jump", "run;jump")
    scores = np.array([[0.2, 0.9], [0.7, 0.95], [0.6, 0.5], [0.8, 0.1]], np.float32)
    videos = ("a", "b", "c", "d")
    table = PredictionTable(videos, np.zeros(4, bool), labels, ("jump", "run"), scores, {})
    found = class_detail.details(table, most=2)["classes"]
    run, jump = found["run"], found["jump"]
    assert (run["positives"], run["hits"][0], run["found"][0]) == (2, 2, 3)  # at threshold 0
    assert (run["hits"][80], run["found"][80]) == (1, 1)
    assert run["missed"] == [["d", 0.1, "run;jump"], ["a", 0.9, "run"]]
    assert run["alarms"] == [["c", 0.5, "jump"]]
    assert [row[0] for row in jump["missed"]] == ["c", "b", "d"]
    assert jump["missed"][1] == ["b", 0.7, "jump"]
