"""What a split can show."""

import numpy as np
import pytest

from pipeline.core.task import SINGLE_LABEL
from pipeline.ensemble.verdicts import judge_split


@pytest.mark.parametrize("members", [1, 2])
def test_a_split_on_which_all_are_right_still_shows_no_less_than_one_video(members: int):
    targets = np.eye(4, dtype=np.uint8)
    scores = {f"member {number}": targets.astype(np.float32) for number in range(members)}
    found = judge_split("val", SINGLE_LABEL, scores, None, np.full(4, 0.25), targets, (50, 0))
    assert found.sentences()[-1] == "4 val videos: differences of less than 25 points say nothing."
