"""Nothing half-written is ever found under its final name, and a fingerprint changes with what it was made from."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import files
from pipeline.core.errors import UserError

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_file_appears_under_its_name_when_it_is_whole(tmp_path: Path):
    with files.aside(tmp_path / "deep" / "file") as partial:
        partial.write_text("new")
        assert not (tmp_path / "deep" / "file").exists()

    assert (tmp_path / "deep" / "file").read_text() == "new"
    assert names(tmp_path / "deep") == ["file"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    (tmp_path / "file").write_text("old")

    with pytest.raises(KeyboardInterrupt), files.aside(tmp_path / "file") as partial:
        partial.write_text("half")
        interrupted()

    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    with files.aside(tmp_path / "out") as partial:
        partial.mkdir()
        (partial / "new").touch()

    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_folder_whose_making_fails_leaves_the_old_one(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    with pytest.raises(KeyboardInterrupt), files.aside(tmp_path / "out") as partial:
        partial.mkdir()
        (partial / "new").touch()
        interrupted()

    assert names(tmp_path / "out") == ["old"]
    assert names(tmp_path) == ["out"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")

    with pytest.raises(UserError, match="out is a folder, and a file would take its place"):
        files.write_text(tmp_path / "out", "new")

    assert (tmp_path / "out" / "old").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path: Path):
    (tmp_path / "out").write_text("old")

    with (
        pytest.raises(UserError, match="out is a file, and a folder would take its place"),
        files.aside(tmp_path / "out") as partial,
    ):
        partial.mkdir()

    assert (tmp_path / "out").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.slow
def test_a_killed_process_leaves_the_old_file(tmp_path: Path):
    (tmp_path / "file").write_text("old")
    script = f"""
import os, signal
from pathlib import Path
from pipeline.core import files
with files.aside(Path({str(tmp_path / "file")!r})) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)

    assert done.returncode == -9
    assert (tmp_path / "file").read_text() == "old"


def test_a_fingerprint_is_a_hash_of_the_values_as_json():
    assert files.fingerprint("a", 1, None) == hashlib.sha256(b'["a",1,null]').hexdigest()[:32]


def test_the_order_of_keys_does_not_change_a_fingerprint():
    assert files.fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == files.fingerprint({"b": {"d": 3, "c": 2}, "a": 1})


def test_other_work_of_the_same_name_is_found_and_of_another_is_not(tmp_path: Path):
    own = files.folder_of(tmp_path, "net[1]", 1)
    assert own == tmp_path / f"net[1]-{hashlib.sha256(b'[1]').hexdigest()[:32]}"
    twins = [files.folder_of(tmp_path, "net[1]", number) for number in (2, 3)]
    for folder in [own, *twins, *(files.folder_of(tmp_path, name, 1) for name in ("net1", "net[1]-b", "n", "net[1"))]:
        folder.mkdir()
    (tmp_path / f".{own.name}.partial").mkdir()
    assert files.others(own) == sorted(twins)


@pytest.mark.parametrize("other", [[1, 3], [2, 1], [1, 2, None], ["1", 2], [[1, 2]], [1, 2.5], []])
def test_another_value_gives_another_fingerprint(other: list[Any]):
    assert files.fingerprint(*other) != files.fingerprint(1, 2)


def test_a_file_hash_is_the_sha256_of_the_bytes(tmp_path: Path):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)

    assert files.file_hash(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_text_is_written_as_utf8_with_bare_line_feeds(tmp_path: Path):
    files.write_text(tmp_path / "file", "grün\nfin\n")

    assert (tmp_path / "file").read_bytes() == b"gr\xc3\xbcn\nfin\n"


def test_json_is_readable_text_that_ends_its_last_line(tmp_path: Path):
    files.write_json(tmp_path / "file", {"grün": [1, 2.5, None]})

    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert json.loads(text) == {"grün": [1, 2.5, None]}
    assert "grün" in text
    assert text.endswith("}\n")


def test_a_link_is_the_same_file(tmp_path: Path):
    (tmp_path / "a").write_text("x")
    files.link(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "a").samefile(tmp_path / "b")


def test_a_link_is_a_copy_where_the_file_system_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("x")
    files.link(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "b").read_text() == "x"
    assert not (tmp_path / "a").samefile(tmp_path / "b")


def test_removing_a_link_to_a_folder_spares_the_folder(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")

    files.remove(tmp_path / "link")
    files.remove(tmp_path / "never was")

    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["file"]


def test_a_folder_is_removed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "work"
    for killed in (True, False):
        folder.mkdir()
        (folder / "file").touch()
        with monkeypatch.context() as patch:
            if killed:
                patch.setattr(files.shutil, "rmtree", lambda path: interrupted())
                with pytest.raises(KeyboardInterrupt):
                    files.remove_at_once(folder)
                assert not folder.exists()
            else:
                files.remove_at_once(folder)
    assert names(tmp_path) == [], "what the killed one has left is gone, too"


def test_a_temporary_folder_is_gone_after_a_failure(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), files.temporary_folder(tmp_path) as folder:
        (folder / "file").touch()
        interrupted()

    assert names(tmp_path) == []
