"""`pipeline doctor --deep`: what a disk has changed is found, and the commands that it prints make that again."""

import sys
from pathlib import Path

import pytest

from pipeline.cli import content, installation, workspace
from pipeline.cli.finding import ok
from pipeline.core import checksums
from tests.support import damage, project
from tests.support.command import call

STAGES = """
stages:
  one:
    cmd: cp source data/one.bin
    outs: [data/one.bin]
  two:
    cmd: mkdir -p data/two && cp data/one.bin data/two/x && head -c 40 data/one.bin > data/two/y
    deps: [data/one.bin]
    outs: [data/two]
"""


@pytest.fixture(params=["hardlink", "copy"])
def done(request, tmp_path: Path, monkeypatch) -> Path:
    """A project that has run, whose DVC links its outs or copies them."""
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        project.run(command, tmp_path)
    (tmp_path / ".dvc/config").write_text(f"[cache]\n    type = {request.param}\n")
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "data").mkdir()
    (tmp_path / "source").write_bytes(bytes(range(100)))
    project.dvc(tmp_path, "repro")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_of_data() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}


def cached(path: Path) -> Path:
    """The object of DVC's cache with a file's bytes."""
    return next(one for one in Path(".dvc/cache/files/md5").glob("??/*") if one.read_bytes() == path.read_bytes())


@pytest.mark.slow
def test_the_commands_that_are_printed_make_what_is_damaged_again(done: Path):
    before = files_of_data()
    assert content.content().state == "ok"
    links = cached(Path("data/two/y")).samefile("data/two/y")
    damage.flip(Path("data/one.bin"), 50)
    damage.flip(cached(Path("data/two/y")), 3)
    assert "up to date" in project.dvc(done, "status").stdout, "DVC notices nothing"

    found = content.content()

    assert found.state == "FAIL"
    assert "data/one.bin" in found.found
    assert ("data/two/y" in found.found) == links
    project.run(["bash", "-c", found.remedy], done)
    assert files_of_data() == before
    assert content.content().state == "ok"
    assert "up to date" in project.dvc(done, "status").stdout


@pytest.mark.slow
def test_dvc_alone_links_the_damaged_file_again(done: Path):
    """Why the printed commands delete what lies in the cache, too."""
    before = files_of_data()
    linked = cached(Path("data/one.bin")).samefile("data/one.bin")
    damage.flip(Path("data/one.bin"), 50)
    project.dvc(done, "repro", "--force", "--single-item", "one")
    assert (files_of_data() == before) != linked


@pytest.mark.slow
@pytest.mark.parametrize("done", ["hardlink"], indirect=True)
def test_a_damaged_list_of_a_folder_in_the_cache_is_found_and_made_again(done: Path):
    before = files_of_data()
    (listed,) = Path(".dvc/cache/files/md5").glob("??/*.dir")
    damage.flip(listed, 10)
    found = content.content()
    assert str(listed) in found.found
    project.run(["bash", "-c", found.remedy], done)
    assert files_of_data() == before
    assert content.content().state == "ok"


@pytest.mark.parametrize("text", ["", "stages: [", "[]", "stages:\n  index: 3\n"])
def test_a_damaged_lock_is_told_by_its_own_check_and_the_lists_are_compared(tmp_path: Path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("a")
    checksums.seal(tmp_path / "data")
    assert content.content().found.startswith("1 files")
    assert workspace.dvc_lock().state == "FAIL"


def test_a_folder_without_dvc_is_checked_by_its_lists(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/predictions/other"
    folder.mkdir(parents=True)
    (folder / "val.parquet").write_bytes(b"scores")
    checksums.seal(folder)
    assert content.content().state == "ok"
    damage.flip(folder / "val.parquet", 2)
    found = content.content()
    assert found.state == "FAIL"
    assert "data/predictions/other/val.parquet" in found.found
    assert "rm" not in found.remedy.split()
    assert "copy, or import" in found.remedy
    damage.flip(folder / "val.parquet", 2)
    damage.flip(folder / "SHA256SUMS", 0, 6)
    assert "data/predictions/other/SHA256SUMS" in content.content().found


def test_without_deep_no_file_is_read(monkeypatch):
    called = []
    monkeypatch.setattr(content, "CHECKS", (lambda: called.append(1) or ok("read"),))
    monkeypatch.setattr(installation, "CHECKS", ())
    monkeypatch.setattr(workspace, "CHECKS", ())
    assert (call("doctor"), called) == (0, [])
    content.CHECKS[0].__name__ = "content"
    assert (call("doctor", "--deep"), called) == (0, [1])
