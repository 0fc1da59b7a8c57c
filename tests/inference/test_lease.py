"""The lease of a score cache: one run at a time, in files that all its processes see."""

import fcntl
import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from pipeline.inference import lease
from pipeline.inference.score_cache import ScoreCache
from tests.support.inference import assert_same_files, cache_of, infer, scored_models, two_processes


def test_a_lock_is_had_by_one_at_a_time(tmp_path):
    with lease.lock(tmp_path / "net-0") as first, lease.lock(tmp_path / "net-0") as second:
        assert (first, second) == (True, False)
    with lease.lock(tmp_path / "net-0") as later:
        assert later


def test_a_lock_ends_with_its_context_whatever_processes_have_inherited_the_file(tmp_path):
    with lease.lock(tmp_path / "net-0"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with lease.lock(tmp_path / "net-0") as later:
            assert later
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_lock_of_a_deleted_file_is_none(tmp_path, monkeypatch):
    """Another run finishes, and a third begins, between the opening of the file and its lock."""
    original, third = fcntl.flock, []

    def late(file, what):
        monkeypatch.setattr(fcntl, "flock", original)
        ScoreCache(tmp_path / "net-0", 0, (2, 1)).delete()
        third.append(lease.lock(tmp_path / "net-0"))
        assert third[0].__enter__()
        original(file, what)

    monkeypatch.setattr(fcntl, "flock", late)
    with lease.lock(tmp_path / "net-0") as second:
        assert not second
    third[0].__exit__(None, None, None)


def test_a_folder_that_is_deleted_at_that_moment_is_no_lock_either(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: None)
    with lease.lock(tmp_path / "net-0") as held:
        assert not held


def test_a_run_waits_for_another_that_is_at_its_model(models, whole, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    folder = cache_of(models, tmp_path / "out", monkeypatch, "net")
    scored = scored_models(monkeypatch)
    pauses = []
    with ExitStack() as other:
        assert other.enter_context(lease.lock(folder))

        def pause(seconds):
            pauses.append((seconds, len(scored)))
            if len(pauses) == 3:
                other.close()

        monkeypatch.setattr(lease.time, "sleep", pause)
        assert_same_files(whole, infer(models, tmp_path / "out"))
    assert pauses == [(lease.PAUSE, 0)] * 3
    assert caplog.text.count("waiting for another run") == 1


@pytest.mark.slow
def test_nodes_that_do_not_share_the_scratch_folder_are_refused(models, tmp_path):
    scratch = tmp_path / "work-{rank}"
    done = two_processes(models[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr

    (folder,) = (tmp_path / "work-0/infer").glob("net-*")  # a lock was left on both, and chunks on one
    other = tmp_path / "work-1/infer" / folder.name
    shutil.copytree(folder, other)
    np.save(other / "000000.npy", np.zeros((16, 13, 3), np.float16))
    done = two_processes(models[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr
    assert not (tmp_path / "out").exists()
