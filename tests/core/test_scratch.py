"""The scratch folder that runs and projects share: one run at a time, and no project deletes what another needs."""

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core import scratch
from pipeline.core.share import Share


def test_a_lock_is_had_by_one_at_a_time(tmp_path):
    with scratch.lock(tmp_path / "net-0" / "lock") as first, scratch.lock(tmp_path / "net-0" / "lock") as second:
        assert (first, second) == (True, False)
    with scratch.lock(tmp_path / "net-0" / "lock") as later:
        assert later


def test_a_shared_lock_is_had_by_several_and_keeps_out_who_wants_it_alone(tmp_path):
    file = tmp_path / "lock"
    with scratch.lock(file, shared=True) as one:
        with scratch.lock(file, shared=True) as two, scratch.lock(file) as alone:
            assert (one, two, alone) == (True, True, False)
        assert file.exists(), "the second has not deleted what the first has yet"
        with scratch.lock(file) as alone:
            assert not alone
    assert not file.exists()
    with scratch.lock(file) as alone, scratch.lock(file, shared=True) as one:
        assert (alone, one) == (True, False)


def test_a_lock_ends_with_its_context_and_with_its_process_whatever_children_live_on(tmp_path):
    with scratch.lock(tmp_path / "lock"):
        child = os.fork()
        if not child:
            signal.pause()
    killed = os.fork()
    if not killed:
        other = scratch.lock(tmp_path / "other")
        assert other.__enter__()
        if os.fork():
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)
        os._exit(0)
    os.waitpid(killed, 0)
    try:
        for name in ("lock", "other"):
            with scratch.lock(tmp_path / name) as got:
                assert got
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_lock_of_a_deleted_file_is_none(tmp_path, monkeypatch):
    """Another run finishes, and a third begins, between the opening of the file and its lock."""
    original, third = fcntl.flock, []

    def late(file, what):
        monkeypatch.setattr(fcntl, "flock", original)
        shutil.rmtree(tmp_path / "net-0")
        third.append(scratch.lock(tmp_path / "net-0" / "lock"))
        assert third[0].__enter__()
        original(file, what)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch.lock(tmp_path / "net-0" / "lock") as second:
        assert not second
    assert (tmp_path / "net-0" / "lock").exists(), "the second has not deleted it"
    third[0].__exit__(None, None, None)


def test_a_folder_that_is_deleted_at_that_moment_is_no_lock_either(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: None)
    with scratch.lock(tmp_path / "net-0" / "lock") as held:
        assert not held


def test_a_lock_is_deleted_in_the_end_and_one_that_a_killed_run_left_locks_nothing(tmp_path):
    (tmp_path / "lock").touch()
    with scratch.lock(tmp_path / "lock") as got:
        assert got
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_run_waits_until_another_leaves_the_folder(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    other = scratch.lock(tmp_path / scratch.LOCK)
    assert other.__enter__()
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            other.__exit__(None, None, None)

    monkeypatch.setattr(scratch.time, "sleep", pause)
    with scratch.alone(tmp_path):
        assert pauses == [scratch.PAUSE] * 3
    assert caplog.text.count("waiting for another run") == 1


@pytest.fixture
def pieces(tmp_path) -> Path:
    """A scratch folder with the pieces a, b and c, and what a killed run has left."""
    folder = tmp_path / "work"
    (folder / ".partial-1").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{name * 32}.tar").touch()
        (folder / f".{name * 32}.tar.partial").touch()
    return folder


def left(folder: Path) -> str:
    """The pieces that are left; nothing else may be but claims."""
    assert {path.suffix for path in folder.iterdir()} <= {".tar", scratch.CLAIM}
    return "".join(sorted(path.stem[0] for path in folder.glob("[!.]*.tar")))


def test_a_project_keeps_what_it_needs(pieces, tmp_path):
    scratch.prune(pieces, tmp_path / "frames", ["a" * 32, "d" * 32])
    assert left(pieces) == "a"


def test_a_lock_that_a_dying_node_has_yet_is_kept(pieces, tmp_path):
    (pieces / f".{'d' * 32}.lock").touch()
    with scratch.piece(pieces, "e" * 32):
        scratch.prune(pieces, tmp_path / "frames", [])
        (kept,) = pieces.glob(".*")
        assert kept.name == f".{'e' * 32}.lock"
    assert left(pieces) == ""


def test_a_project_keeps_what_others_need_as_long_as_they_are_there(pieces, tmp_path):
    one, two = tmp_path / "one" / "frames", tmp_path / "two" / "frames"
    one.parent.mkdir()
    two.parent.mkdir()
    scratch.prune(pieces, one, ["a" * 32, "b" * 32, "c" * 32])
    scratch.prune(pieces, two, ["b" * 32])
    assert left(pieces) == "abc"
    scratch.prune(pieces, one, ["a" * 32])
    assert left(pieces) == "ab"
    one.parent.rmdir()
    scratch.prune(pieces, two, ["b" * 32])
    assert left(pieces) == "b"
    assert len(list(pieces.glob(f"*{scratch.CLAIM}"))) == 1


@pytest.mark.parametrize("damage", ["{", '{"out": 7, "keys": []}', '{"oUt": "/"}', "[]", "\0"])
def test_a_damaged_claim_asks_for_nothing(pieces, tmp_path, caplog, damage):
    claim = pieces / f"{'9' * 32}{scratch.CLAIM}"
    claim.write_text(damage)
    scratch.prune(pieces, tmp_path / "frames", ["a" * 32])
    assert not claim.exists()
    assert f"{claim} is damaged" in caplog.text


@dataclass(frozen=True)
class Piece:
    key: str


def test_shares_make_each_piece_once_and_delete_nothing(pieces, tmp_path):
    wanted = [Piece(letter * 32) for letter in "dabce"]
    made = []

    def share(number: int) -> bool:
        def make(some: Sequence[Piece]) -> None:
            made.extend(piece.key[0] for piece in some)

        return scratch.make_share(
            Share(number, 2),
            pieces,
            tmp_path / "frames",
            wanted,
            make,
            lambda piece: piece.key[0] in "abc" + "".join(made),
        )

    assert not share(2)
    assert made == ["a", "c"]
    assert share(1)
    assert made == ["a", "c", "d", "b", "e"]
    assert len(list(pieces.glob("*.tar"))) == 3
    assert (pieces / f".{'a' * 32}.tar.partial").exists(), "another share may be at it"
    scratch.prune(pieces, tmp_path / "other" / "frames", [])
    assert left(pieces) == "abc", "the shares have told what they need"
