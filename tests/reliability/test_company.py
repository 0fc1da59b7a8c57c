"""Several runs at a time: they wait for one another, and each gives the bytes that it gives alone."""

import json
import re
import sys
import time
from functools import partial

import pytest

from tests.support import hindrances, project, stage_process
from tests.support.stage_process import Running, contents, outs, run

pytestmark = pytest.mark.slow

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b.c")


@pytest.fixture
def clones(tmp_path, clips, without):
    """Two projects with one scratch folder, of which the second wants larger frames; nothing is extracted yet."""
    shared = f"machine.scratch={tmp_path / 'work'}"
    one = without("extract", shared)
    two = stage_process.make(tmp_path / "two", clips, shared, "extract.short_side=64")
    for name in ("check", "index", "check_corpus"):
        assert run(name, two).status == 0
    return one, two


def test_two_clones_with_one_scratch_folder_wait_for_one_another(finished, clones, tmp_path):
    one, two = clones
    gate = tmp_path / "gate"
    first = Running("extract", one, first=partial(hindrances.slow_frames, gate))
    first.until(lambda: list((tmp_path / "work" / "extract").glob(".partial-*")))
    second = Running("extract", two)
    second.until(lambda: "waiting for another run that works in" in second.log.read_text())
    gate.touch()
    assert (first.wait().status, second.wait().status) == (0, 0)
    assert contents(one / "data" / "frames") == contents(finished / "data" / "frames")
    assert contents(two / "data" / "frames") != contents(one / "data" / "frames")

    assert "0 of 3 shards are to be made" in run("extract", one).said, "the second has deleted those of the first"
    packing = [Running("pack", clone) for clone in clones]
    assert [each.wait().status for each in packing] == [0, 0]
    assert contents(one / "data" / "lmdb") == contents(finished / "data" / "lmdb")
    assert not [path for path in (tmp_path / "work").rglob("*") if path.name.startswith(".") or path.name == "lock"]


@pytest.mark.parametrize("stage", ["train", "infer"])
def test_the_same_work_twice_at_a_time_is_done_one_after_the_other(finished, without, tmp_path, stage):
    folder, gate = without(stage), tmp_path / "gate"
    first = Running(stage, folder, first=partial(hindrances.slow_frames, gate))
    first.until(lambda: list((folder / "work").rglob("*lock")))
    second = Running(stage, folder)
    second.until(lambda: "waiting for another run that has " in second.log.read_text())
    gate.touch()
    assert (first.wait().status, second.wait().status) == (0, 0)
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out)
    assert not list((folder / "work" / stage).iterdir())


@pytest.fixture
def root(tmp_path, clips):
    """A project with DVC, in which nothing has run."""
    folder = project.copy(tmp_path / "project")
    project.write_params(folder, *stage_process.settings(clips), f"machine.scratch={tmp_path / 'work'}")
    project.run(["git", *AUTHOR, "commit", "-qam", "Settings"], folder)
    return folder


@pytest.mark.nightly
def test_two_dvc_repro_at_a_time_give_the_bytes_of_one(finished, root):
    """DVC refuses what another process of it is at."""
    logs = [root.parent / "one", root.parent / "two"]
    both = [project.start([sys.executable, "-m", "dvc", "repro", "pack"], root, log) for log in logs]
    for process, log in zip(both, logs, strict=True):
        assert process.wait(600) == 0 or re.search("is busy|Unable to acquire lock", log.read_text()), log.read_text()
    project.dvc(root, "repro", "pack")
    for stage in ("extract", "pack"):
        for out in outs(stage):
            assert contents(root / out) == contents(finished / out), out


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_queued_experiments_side_by_side_give_the_bytes_of_one(finished, clips, root):
    settings = [*stage_process.settings(clips), f"machine.scratch={root.parent / 'work'}"]  # DVC composes conf/ anew
    for seed in (0, 1):
        changes = [word for one in (*settings, f"ensemble.seed={seed}") for word in ("-S", one)]
        project.dvc(root, "exp", "run", "--queue", "--name", f"seed-{seed}", *changes)
    project.dvc(root, "queue", "start", "-j", "2")
    deadline = time.monotonic() + 1200
    while (states := project.dvc(root, "queue", "status").stdout).count("Success") < 2:
        assert "Failed" not in states, project.dvc(root, "queue", "logs", "seed-1").stdout
        assert time.monotonic() < deadline, states
        time.sleep(2)
    shown = json.loads(project.dvc(root, "exp", "show", "--json").stdout)
    assert len(shown[1]["experiments"]) == 2
    project.dvc(root, "exp", "apply", "seed-0")
    for stage in ("extract", "pack", "train", "infer"):
        for out in outs(stage):
            assert contents(root / out) == contents(finished / out), out
