"""Blocks of scores on disk, and the lock that keeps two runs apart."""

import fcntl
import os
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.inference import score_cache
from pipeline.inference.score_cache import Blocks

VALUES = np.arange(70, dtype=np.float16).reshape(35, 2, 1)


def kept(folder: Path) -> Blocks:
    """Three finished blocks, the last of them short."""
    found = Blocks(folder / "net-0", videos=35, shape=(2, 1))
    for number in (2, 0, 1):
        found.write(number, VALUES[found.span(number).start : found.span(number).stop])
    return found


def test_blocks_come_back_in_order_and_the_last_may_be_short(tmp_path):
    found = kept(tmp_path)
    assert len(found) == 3
    assert [found.span(number).start for number in range(3)] == [0, 16, 32]
    np.testing.assert_array_equal(list(found.scores()), VALUES)


@pytest.mark.parametrize("there", [0, 1, 15])
def test_an_unfinished_block_stands_for_no_other_video(tmp_path, there):
    found = kept(tmp_path)
    found.write(1, VALUES[16 : 16 + there])
    with pytest.raises(UserError, match=rf"000001.npy holds the scores of {there} videos, not of 16.*machine.scratch"):
        list(found.scores())


def test_counting_reads_no_score(tmp_path, monkeypatch):
    found = kept(tmp_path)
    monkeypatch.setattr(np, "fromfile", None)  # what np.load reads an array with
    assert [found.count(number) for number in range(3)] == [16, 16, 3]


def test_a_lock_is_had_by_one_at_a_time(tmp_path):
    with score_cache.hold(tmp_path / "net-0") as first, score_cache.hold(tmp_path / "net-0") as second:
        assert (first, second) == (True, False)
    with score_cache.hold(tmp_path / "net-0") as later:
        assert later


def test_a_lock_ends_with_its_block_whatever_processes_have_inherited_the_file(tmp_path):
    with score_cache.hold(tmp_path / "net-0"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with score_cache.hold(tmp_path / "net-0") as later:
            assert later
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_lock_of_a_deleted_file_is_none(tmp_path, monkeypatch):
    """Another run finishes, and a third begins, between the opening of the file and its lock."""
    original, third = fcntl.flock, []

    def late(file, what):
        monkeypatch.setattr(fcntl, "flock", original)
        Blocks(tmp_path / "net-0", 0, (2, 1)).forget()
        third.append(score_cache.hold(tmp_path / "net-0"))
        assert third[0].__enter__()
        original(file, what)

    monkeypatch.setattr(fcntl, "flock", late)
    with score_cache.hold(tmp_path / "net-0") as second:
        assert not second
    third[0].__exit__(None, None, None)


def test_a_folder_that_is_deleted_at_that_moment_is_no_lock_either(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: None)
    with score_cache.hold(tmp_path / "net-0") as held:
        assert not held


def test_forgetting_leaves_nothing(tmp_path):
    found = kept(tmp_path)
    with score_cache.hold(found.folder):
        found.forget()
    assert list(tmp_path.iterdir()) == []


def test_all_scores_take_the_memory_of_a_block(tmp_path):
    found = Blocks(tmp_path / "net-0", videos=160, shape=(100, 1000))
    for number in range(len(found)):
        found.write(number, np.full((16, 100, 1000), number, np.float16))
    tracemalloc.start()
    assert [int(scores[0, 0]) for scores in found.scores()] == [number for number in range(10) for _ in range(16)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 16 * 100 * 1000 * 2, "of ten blocks"
