"""A full disk at each stage that writes much: a message, no half-made out, and the same bytes once there is room."""

import pytest

from tests.support import hindrances
from tests.support.stage_process import contents, outs, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stage", ["extract", "pack", "train", "infer", "ensemble", "report"])
def test_a_full_disk_is_a_message_and_the_same_command_goes_on(finished, without, stage):
    folder = without(stage)
    ended = run(stage, folder, first=hindrances.full_disk)
    assert ended.status == 1, ended.said
    assert "error: " in ended.said
    assert "ake room" in ended.said
    assert "Traceback" not in ended.said
    assert not list(folder.rglob(".*"))
    assert not any((folder / out).exists() for out in outs(stage))

    ended = run(stage, folder)
    assert ended.status == 0, ended.said
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out), out
