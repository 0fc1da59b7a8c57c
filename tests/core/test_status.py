"""What a process says it is at: while it lives, and only then."""

import itertools
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli import watch
from pipeline.core import status
from pipeline.core.progress_bar import progress_bar

ROOT = Path(__file__).parents[2]
FORKS = """
import os, sys, time
from pathlib import Path
from pipeline.core import status
with status.reported(Path(sys.argv[1]), {"stage": "train"}):
    heard, says = os.pipe()
    if not os.fork():
        os.write(says, b"up")
        time.sleep(10)
        os._exit(0)
    os.read(heard, 2)
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


def left(folder: Path) -> list[str]:
    return [file.name for file in (folder / status.FOLDER).iterdir()]


def test_a_process_is_seen_with_what_its_bar_shows_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "SECONDS", 0.0)
    with status.reported(tmp_path, {"stage": "pack"}):
        (before,) = status.running(tmp_path)
        with progress_bar(total=8, initial=2, desc="pack", unit="video") as bar:
            bar.update(3)
            (during,) = status.running(tmp_path)
        (after,) = status.running(tmp_path)
    assert (before["stage"], before["process"], before["folder"]) == ("pack", os.getpid(), str(Path.cwd()))
    assert [during[name] for name in ("doing", "done", "total", "unit")] == ["pack", 5, 8, "video"]
    assert during["seconds_left"] == pytest.approx(3 / during["rate"])
    assert "done" not in before
    assert "done" not in after
    assert status.running(tmp_path) == left(tmp_path) == []


def test_every_item_of_a_loop_counts_though_none_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "SECONDS", 0.0)
    seen = []
    with status.reported(tmp_path, {}):
        for _ in progress_bar(range(3), desc="infer", mininterval=999):
            seen += [one["done"] for one in status.running(tmp_path)]
    assert seen == [0, 1, 2]


def test_a_process_writes_once_a_second(tmp_path, monkeypatch):
    written = []
    original = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: written.append(status._own.written) or original(self, to))
    begun = time.monotonic()
    with status.reported(tmp_path, {}), progress_bar(total=10**6) as bar:
        while time.monotonic() - begun < 2.5:
            bar.update()
    *steady, _ = written  # the last says that the bar has ended
    assert len(steady) == 3
    assert all(later - earlier >= status.SECONDS for earlier, later in itertools.pairwise(steady))


def test_a_killed_process_is_not_seen_though_a_child_of_it_lives_on(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", FORKS, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline().strip() == str(process.pid).encode()
        assert [one["process"] for one in status.running(tmp_path)] == [process.pid]
        process.kill()
        process.wait()
        assert len(left(tmp_path)) == 2
        assert status.running(tmp_path) == left(tmp_path) == []


@pytest.mark.parametrize("content", [b'{"stage": "train", "no', b"", b"[1, 2]", b'{"stage": "train"}', b"\xff\xfe{}"])
def test_a_process_whose_file_is_damaged_is_named_by_the_name_of_the_file(tmp_path, content):
    with status.reported(tmp_path, {"stage": "train"}):
        (file,) = (tmp_path / status.FOLDER).glob("*.json")
        file.write_bytes(content)
        (one,) = status.running(tmp_path)
        assert (one["process"], one["node"]) == (os.getpid(), platform.node())
        assert one["note"] == f"{file} is damaged"
        assert watch.row(one, time.time())[0] == f"unknown on {platform.node()}"
    assert left(tmp_path) == []


def test_what_a_process_left_that_was_killed_as_it_wrote_is_deleted(tmp_path):
    folder = tmp_path / status.FOLDER
    folder.mkdir()
    for name in ("n-1-a.json", "n-1-a.alive", "n-1-a.partial", "n-2-b.alive", "n-2-b.partial", "n-3-c.partial"):
        (folder / name).write_text("{")
    assert status.running(tmp_path) == []
    assert sorted(left(tmp_path)) == ["n-2-b.alive", "n-2-b.partial", "n-3-c.partial"]  # who may just have begun
    for file in folder.iterdir():
        os.utime(file, (time.time() - 100,) * 2)
    with status.reported(tmp_path, {}):
        (own,) = folder.glob("*.json")
        own.unlink()
        os.utime(own.with_suffix(".alive"), (time.time() - 100,) * 2)
        assert status.running(tmp_path) == []
        assert left(tmp_path) == [own.with_suffix(".alive").name]
    assert left(tmp_path) == []


def test_a_forked_process_leaves_the_file_of_its_parent_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "SECONDS", 0.0)
    with status.reported(tmp_path, {"stage": "extract"}):
        if not (child := os.fork()):
            progress_bar(total=1, desc="of the child").update()
            os._exit(0)
        os.waitpid(child, 0)
        (one,) = status.running(tmp_path)
    assert "doing" not in one


def test_a_bar_that_is_switched_off_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "SECONDS", 0.0)
    with status.reported(tmp_path, {}), progress_bar(total=2, disable=True) as bar:
        bar.update()
        assert "done" not in status.running(tmp_path)[0]


def test_a_disk_that_is_full_ends_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with status.reported(tmp_path, {}), progress_bar(total=1) as bar:
        bar.update()
    assert left(tmp_path) == []


def test_a_folder_that_is_a_file_ends_nothing(tmp_path):
    (tmp_path / "work").write_text("")
    with status.reported(tmp_path / "work", {}), progress_bar(total=1) as bar:
        bar.update()


def test_the_oldest_comes_first(tmp_path):
    with status.reported(tmp_path, {"stage": "first"}), status.reported(tmp_path, {"stage": "second"}):
        assert [one["stage"] for one in status.running(tmp_path)] == ["first", "second"]
        assert all(json.loads(file.read_text()) for file in (tmp_path / status.FOLDER).glob("*.json"))
