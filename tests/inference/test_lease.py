"""The lease of a score cache: one run at a time, in files that all its processes see."""

import shutil
from contextlib import ExitStack

import numpy as np
import pytest

from pipeline.core import scratch
from pipeline.runtime import lease
from pipeline.runtime.chunk_cache import ChunkCache
from tests.support.inference import assert_same_files, cache_of, infer, scored_models, two_processes


def test_a_run_waits_for_another_that_is_at_its_model(models, whole, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    folder = cache_of(models, tmp_path / "out", monkeypatch, "net")
    scored = scored_models(monkeypatch)
    pauses = []
    with ExitStack() as other:
        assert other.enter_context(scratch.lock(folder / "lock"))

        def pause(seconds):
            pauses.append((seconds, len(scored)))
            if len(pauses) == 3:
                other.close()

        monkeypatch.setattr(lease.time, "sleep", pause)
        assert_same_files(whole, infer(models, tmp_path / "out"))
    assert pauses == [(scratch.PAUSE, 0)] * 3
    assert caplog.text.count("waiting for another run") == 1


@pytest.mark.slow
@pytest.mark.parametrize("left", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_nodes_that_do_not_share_the_scratch_folder_are_refused(models, tmp_path, left):
    scratch = tmp_path / "work-{rank}"
    done = two_processes(models[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr
    assert not (tmp_path / "out").exists()
    if not left:
        return

    (folder,) = (tmp_path / "work-0/infer").glob("net-*")  # as if locks were left on both, and chunks on one
    other = tmp_path / "work-1/infer" / folder.name
    shutil.copytree(folder, other)
    for node in (folder, other):
        (node / "lock").touch()
    ChunkCache(other, videos=16, shape=(13, 3)).write(0, np.zeros((16, 13, 3), np.float16))
    done = two_processes(models[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr
    assert not (tmp_path / "out").exists()
