"""Stages with few open files, a jumping clock, and folders that may not be written: they run, or say what is wrong."""

import os
import stat

import pytest

from tests.support import hindrances
from tests.support.stage_process import contents, outs, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stage", ["extract", "pack", "train", "infer", "report"])
def test_with_64_open_files_a_stage_gives_the_same_bytes(finished, without, stage):
    folder = without(stage)
    ended = run(stage, folder, NOFILE=64)
    assert ended.status == 0, ended.said
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out), out


@pytest.mark.parametrize("stage", ["extract", "train", "infer"])
def test_with_too_few_open_files_a_stage_says_so(without, stage):
    ended = run(stage, without(stage), NOFILE=16)
    assert ended.status == 1, ended.said
    assert "Too many files are open" in ended.said.splitlines()[-1]
    assert "`ulimit -n 4096`" in ended.said.splitlines()[-1]


@pytest.mark.parametrize("stage", ["index", "extract", "pack", "stats", "train", "infer", "ensemble", "report"])
def test_a_folder_that_may_not_be_written_is_a_message(finished, without, stage):
    folder = without(stage)
    for place in [folder / "data", *(path for path in folder.glob("data/**/*") if path.is_dir())]:
        place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    ended = run(stage, folder, first=hindrances.no_power_over_rights)
    assert ended.status == 1, ended.said
    assert "may not be read or written ([Errno 13] Permission denied: 'data" in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize("stage", ["extract", "pack", "train", "infer"])
def test_a_clock_that_jumps_changes_nothing(finished, without, stage):
    folder = without(stage)
    for path in folder.glob("data/**/*"):
        os.utime(path, (2**32, 2**32) if len(path.name) % 2 else (1, 1))
    ended = run(stage, folder, first=hindrances.jumping_clock)
    assert ended.status == 0, ended.said
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out), out
