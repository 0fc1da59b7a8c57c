"""Stages in shares (`--shard 2/3`), as a SLURM array runs them: the bytes of one run, though a call is killed."""

import re
import sys
from functools import partial

import pytest

from tests.support import hindrances, project, stage_process
from tests.support.stage_process import Running, contents, outs, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stage", ["extract", "pack"])
def test_calls_side_by_side_of_which_one_is_killed_and_repeated_give_the_bytes_of_one(
    finished, without, tmp_path, stage
):
    folder, gate = without(stage), tmp_path / "gate"
    slow = partial(hindrances.slow_frames, gate)
    calls = [Running(stage, folder, first=slow, options=("--shard", f"{number}/3")) for number in (1, 2, 3)]
    scratch = folder / "work" / stage
    calls[1].until(lambda: len(list(scratch.glob(".*.lock"))) == 3)
    calls[1].kill()
    assert calls[1].wait().status == -9
    gate.touch()
    for call in (calls[0], calls[2]):
        ended = call.wait()
        assert ended.status == 0, ended.said
        assert re.search(r"[12] of 3 shards are not there yet; who makes the last of them writes", ended.said)
    assert not any((folder / out).exists() for out in outs(stage))

    again = run(stage, folder, options=("--shard", "2/3"))
    assert again.status == 0, again.said
    if stage == "extract":
        assert "1 of 1 shards are to be made" in again.said, "the killed one had half of it, which is not taken"
        assert "0 of 3 shards are to be made" in again.said, "those of the others are taken"
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out), out
    assert not [path for path in scratch.iterdir() if path.name.startswith(".") or path.name == "lock"]


def test_other_settings_take_no_shard_of_another_call(without, finished):
    folder = without("extract", "extract.short_side=40")
    assert run("extract", folder, options=("--shard", "1/2")).status == 0
    (folder / "params.yaml").write_text((finished / "params.yaml").read_text())
    ended = run("extract", folder, options=("--shard", "2/2"))
    assert "2 of 3 shards are not there yet" in ended.said
    ended = run("extract", folder, options=("--shard", "1/2"))
    assert "2 of 2 shards are to be made" in ended.said
    for out in outs("extract"):
        assert contents(folder / out) == contents(finished / out), out


@pytest.mark.nightly
def test_dvc_takes_what_the_shares_have_made(finished, clips, tmp_path):
    """The commands of docs/scaling.md; `dvc repro` in the place of `dvc commit` comes to the same."""
    folder = project.copy(tmp_path / "project")
    project.write_params(folder, *stage_process.settings(clips))
    project.dvc(folder, "repro", "check_corpus")
    for number in (2, 1):
        command = [sys.executable, "-m", "stages.extract", *stage_process.arguments("extract")]
        project.run([*command, "--shard", f"{number}/2"], folder)
    project.dvc(folder, "commit", "--force", "extract")
    assert "extract" not in project.changed(folder)

    for number in (1, 2):
        command = [sys.executable, "-m", "stages.pack", *stage_process.arguments("pack")]
        project.run([*command, "--shard", f"{number}/2"], folder)
    assert project.ran(project.dvc(folder, "repro", "pack")) == ["index", "pack"]
    assert not project.changed(folder) & {"extract", "pack"}
    for stage in ("extract", "pack"):
        for out in outs(stage):
            assert contents(folder / out) == contents(finished / out), out
