"""Deaths at random moments: what is done again has the same bytes, and nothing of the dead is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.cli import workspace
from pipeline.core import files
from tests.support import hindrances, project, stage_process
from tests.support.stage_process import ORDER, Running, contents, outs, run

pytestmark = pytest.mark.slow

SECONDS = {"extract": 0.6, "pack": 0.2, "train": 1.2, "infer": 0.5, "ensemble": 0.2, "report": 0.2}
"""About how long the stages take that take long enough to die in."""
PIECES = {".tar", ".json", ".lmdb", ".claim"}
"""Suffixes of what the scratch folder keeps for the next run."""


def leftovers(folder: Path, finished: Path) -> list[Path]:
    """Temporary files, locks and resume states: what the scratch folder of a finished project does not keep."""
    work = [path for path in folder.glob("work/*/**/*") if path.suffix not in PIECES]
    kept = [path for path in work if (finished / path.relative_to(folder)).exists()]
    return [*folder.glob("data/**/.*.partial"), *folder.glob("data/**/*.tmp"), *sorted({*work} - {*kept})]


def assert_nobody_is_left(group: int) -> None:
    """A loader's worker looks for its parent every five seconds, and an FFmpeg ends with its video."""
    deadline = time.monotonic() + 30
    while members := alive(group):
        assert time.monotonic() < deadline, members
        time.sleep(0.1)


def alive(group: int) -> list[psutil.Process]:
    """The processes of a group, but for those that have ended and that the system's first process has yet to reap."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize("deaths", [pytest.param(2, id="few"), pytest.param(20, marks=pytest.mark.nightly, id="many")])
def test_stages_that_die_at_random_moments_end_with_the_same_bytes(finished, without, deaths):
    """Every second death leaves the loader's workers, or the FFmpegs, alive."""
    rng, folder, died = np.random.default_rng(deaths), without("index"), []
    for stage in ORDER[ORDER.index("index") :]:
        for death in range(deaths if stage in SECONDS else 0):
            running = Running(stage, folder)
            time.sleep(rng.uniform(0, SECONDS[stage]))
            running.kill(group=bool(death % 2))
            if running.wait().status == -signal.SIGKILL:
                died.append(running.pid)
        ended = run(stage, folder)
        assert ended.status == 0, ended.said
        for out in outs(stage):
            assert contents(folder / out) == contents(finished / out), out
    assert not leftovers(folder, finished)
    for group in died:
        assert_nobody_is_left(group)
    assert len(died) > 3 * deaths
    print(f"{len(died)} deaths")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", ["extract", "pack", "train", "infer"])
def test_a_polite_signal_ends_a_stage_and_the_same_command_goes_on(finished, without, stage, number):
    folder = without(stage)
    running = Running(stage, folder, first=hindrances.slow_frames)
    at_work = {"extract": "work/extract/.partial-*/*", "pack": "work/pack/.*"}
    running.until(lambda: list(folder.glob(at_work[stage])) if stage in at_work else running.children())
    running.kill(number, group=False)
    ended = running.wait(20)
    listens = stage in ("train", "infer") or number == signal.SIGINT
    assert ended.status == (128 + number if listens else -number), ended.said
    assert ("run the same command to go on" in ended.said) == listens
    assert "Traceback" not in ended.said
    assert run(stage, folder).status == 0
    for out in outs(stage):
        assert contents(folder / out) == contents(finished / out), out
    assert not leftovers(folder, finished)
    assert_nobody_is_left(running.pid)


@pytest.mark.parametrize(
    ("deaths", "target"),
    [
        pytest.param(2, "pack", id="few"),
        pytest.param(100, "report", marks=[pytest.mark.nightly, pytest.mark.timeout(3600)], id="many"),
    ],
)
def test_dvc_that_dies_at_random_moments_ends_with_the_same_bytes(finished, tmp_path, clips, deaths, target):
    rng, root, died = np.random.default_rng(deaths), project.copy(tmp_path / "project"), 0
    project.write_params(root, *stage_process.settings(clips))
    while died < deaths:
        start_over(root)
        died += die_and_finish(root, target, rng, most=min(10, deaths))
        project.dvc(root, "repro", target)
        assert project.ran(project.dvc(root, "repro", target)) == ["index"]
        for stage in ORDER[: ORDER.index(target) + 1]:
            for out in outs(stage):
                assert contents(root / out) == contents(finished / out), out
        assert not leftovers(root, finished)
    print(f"{died} deaths")


def start_over(root: Path) -> None:
    """Delete all that was made, in the cache of DVC, too."""
    for name in ("data", "work", "dvc.lock", ".dvc/cache"):
        files.remove(root / name)


def die_and_finish(root: Path, target: str, rng: np.random.Generator, most: int) -> int:
    """Kill `dvc repro` until it is done, but `most` times; how often it died.

    Every second death comes when a stage has written its out, which DVC then takes into its cache. Every third takes
    DVC alone, so that the stage, if one runs, lives on.
    """
    for death in range(most):
        repro = project.start([sys.executable, "-m", "dvc", "repro", target], root, root.parent / "log")
        if death % 2:
            wait_for_an_out(root / "data", repro)
        time.sleep(rng.uniform(0, 0.5 if death % 2 else 12))
        with contextlib.suppress(ProcessLookupError):
            (os.kill if death % 3 == 2 else os.killpg)(repro.pid, signal.SIGKILL)
        if repro.wait() != -signal.SIGKILL:
            return death
        mend_the_locks(root)
    return most


def wait_for_an_out(data: Path, repro: subprocess.Popen) -> None:
    before = sorted(data.glob("[!.]*"))
    while sorted(data.glob("[!.]*")) == before and repro.poll() is None:
        time.sleep(0.01)


def mend_the_locks(root: Path) -> None:
    """Do what `pipeline doctor` says where DVC died while it wrote its file of locks, or dvc.lock."""
    with contextlib.chdir(root):
        if workspace.dvc_locks().state == "FAIL":
            (root / ".dvc/tmp/rwlock").unlink()
        if workspace.dvc_lock().state == "FAIL":
            (root / "dvc.lock").unlink()
