"""The checks of `pipeline doctor` that look at the project, each on a project that is not as it should be."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import dvc.fs
import pytest

from pipeline.cli import compose, workspace
from pipeline.cli.finding import Finding
from pipeline.core.errors import UserError
from tests.support import unsteady

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A project with the committed settings, where nothing has been run."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[cache]\n    type = reflink,hardlink,copy\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def room(monkeypatch):
    """Let every disk have so many free bytes."""

    def free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))

    return free


@pytest.fixture
def another_disk(folder, monkeypatch) -> Path:
    """A folder that is on another file system."""
    disk, own = folder / "disk", Path.stat
    disk.mkdir()

    def stat(path: Path, **options: bool):
        return SimpleNamespace(st_dev=-1, st_mode=own(path).st_mode) if path == disk else own(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    return disk


@pytest.mark.parametrize(("free", "state"), [(2**30 - 1, "FAIL"), (2**30, "warn"), (20 * 2**30, "ok")])
def test_free_disk(folder, room, free, state):
    room(free)
    assert workspace.disk().state == state


def test_places_on_one_file_system_are_told_together(folder, room):
    room(2**40)
    assert workspace.disk().found == "data, work, .dvc/cache: 1.0 TiB free"


def test_places_on_two_file_systems_are_told_apart_and_the_fuller_one_counts(folder, another_disk, monkeypatch):
    (folder / ".dvc/config").write_text(f"[cache]\n    dir = {another_disk}\n")
    sizes = {another_disk: 2**29, folder: 2**40}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=sizes[path]))
    finding = workspace.disk()
    assert finding.found == f"data, work: 1.0 TiB free; {another_disk}: 512.0 MiB free"
    assert finding.state == "FAIL"


def able(monkeypatch, *links: str) -> None:
    monkeypatch.setattr(dvc.fs.generic, "test_links", lambda wanted, *_: [link for link in wanted if link in links])


def test_the_first_link_that_works_is_what_outs_become(folder, monkeypatch):
    able(monkeypatch, "hardlink", "copy")
    assert workspace.cache().state == "ok"
    assert "outs become a hardlink in data/" in workspace.cache().found


def test_links_are_really_tried(folder):
    """A hard link works in any folder that tests are run in; DVC is asked to try it, and leaves nothing there."""
    (folder / ".dvc/config").write_text("[cache]\n    type = hardlink\n")
    before = sorted(folder.rglob("*"))
    assert workspace.cache().state == "ok"
    assert sorted(folder.rglob("*")) == before


def test_copies_are_a_warning(folder, monkeypatch):
    able(monkeypatch, "copy")
    assert workspace.cache().state == "warn"
    assert "twice" in workspace.cache().remedy


def test_a_cache_on_another_file_system_is_named_as_the_cause(folder, another_disk, monkeypatch):
    (folder / ".dvc/config").write_text(f"[cache]\n    dir = {another_disk}\n    type = hardlink,copy\n")
    able(monkeypatch, "copy")
    finding = workspace.cache()
    assert finding.state == "warn"
    assert f"{another_disk}: outs become a copy" in finding.found
    assert "on another file system" in finding.found
    assert "dvc cache dir" in finding.remedy


def test_a_cache_from_which_nothing_can_come_fails(folder, monkeypatch):
    able(monkeypatch)
    assert workspace.cache().state == "FAIL"
    assert "none of cache.type reflink, hardlink, copy works" in workspace.cache().found


def test_a_folder_without_dvc_fails(folder):
    shutil.rmtree(folder / ".dvc")
    assert workspace.cache().state == "FAIL"


def test_the_built_in_corpus_need_not_be_there_yet(folder):
    assert workspace.corpus().state == "ok"


def test_a_remote_corpus_is_asked_for_where_the_settings_say(folder):
    remote = unsteady.folder()
    chosen = ["dataset=folder", f"dataset.root={remote.url}", "dataset.annotations=labels.csv"]
    (folder / "params.yaml").write_text(compose.text(ROOT / "conf", chosen))
    (folder / "labels.csv").touch()
    assert workspace.corpus().found == f"not there: dataset.root: {remote.url}"
    unsteady.put("a.mp4", b"a")
    assert workspace.corpus() == Finding("ok", f"{remote.url}, labels.csv")


def test_a_corpus_is_looked_for_where_the_settings_say(folder):
    chosen = ["dataset=folder", "dataset.classes=videos/classes.txt"]
    (folder / "params.yaml").write_text(compose.text(ROOT / "conf", chosen))
    everything = (
        "dataset.root: videos",
        "dataset.annotations: videos/labels.csv",
        "dataset.classes: videos/classes.txt",
    )
    assert workspace.corpus().found == f"not there: {'; '.join(everything)}"
    (folder / "videos").mkdir()
    (folder / "videos/classes.txt").touch()
    assert workspace.corpus().found == f"not there: {everything[1]}"
    assert workspace.corpus().state == "FAIL"
    (folder / "videos/labels.csv").touch()
    assert workspace.corpus().state == "ok"


def test_params_that_are_conf_composed_are_well(folder):
    assert workspace.settings().state == "ok"


def test_params_that_differ_are_shown(folder):
    (folder / "params.yaml").write_text(compose.text(ROOT / "conf", ["extract.fps=12"]))
    finding = workspace.settings()
    assert finding.state == "warn"
    assert finding.found == "params.yaml differs from conf/ in 1 setting: extract.fps=12"


def test_params_that_are_missing_or_no_yaml_fail(folder):
    (folder / "params.yaml").write_text("a: [")
    assert workspace.settings().state == "FAIL"
    (folder / "params.yaml").unlink()
    assert "`pipeline params`" in workspace.settings().remedy


def test_a_conf_that_does_not_compose_fails(folder):
    (folder / "conf").unlink()
    (folder / "conf").mkdir()
    (folder / "conf/config.yaml").write_text("defaults:\n  - dataset: nowhere\n")
    finding = workspace.settings()
    assert finding.state == "FAIL"
    assert "nowhere" in finding.found


@pytest.mark.parametrize(("text", "state"), [(None, "ok"), ("{}", "ok"), ('{"data/x": {}}', "ok"), ("", "FAIL")])
def test_locks_that_dvc_was_killed_at_writing_name_the_file_to_delete(folder, text, state):
    file = folder / ".dvc/tmp/rwlock"
    file.parent.mkdir()
    if text is not None:
        file.write_text(text)
    finding = workspace.dvc_locks()
    assert finding.state == state
    assert ("`rm .dvc/tmp/rwlock`" in finding.remedy) == (state == "FAIL")


LOCK = "schema: '2.0'\nstages:\n  check:\n    cmd: python\n"


@pytest.mark.parametrize(
    ("text", "state"),
    [(None, "ok"), (LOCK, "ok"), (LOCK[:-14], "FAIL"), (LOCK[:8], "FAIL"), (LOCK + "  x: '", "FAIL"), ("", "FAIL")],
)
def test_a_lock_file_that_dvc_was_killed_at_writing_is_named(folder, text, state):
    if text is not None:
        (folder / "dvc.lock").write_text(text)
    finding = workspace.dvc_lock()
    assert finding.state == state
    assert ("`rm dvc.lock && dvc repro`" in finding.remedy) == (state == "FAIL")


def test_what_lies_in_the_scratch_folder_is_told_with_its_size(folder):
    assert workspace.scratch().found == "work: nothing"
    for name, count in {
        "extract/0a.tar": 1024, "extract/0b.tar": 1024, f"train/tin-demo-{'a' * 32}/state.pt": 3 * 2**20,
        f"train/tin-demo-{'a' * 32}/best/model": 2**20, f"infer/tsn-{'b' * 32}/0.npy": 512,
    }.items():  # fmt: skip
        (folder / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "work" / name).write_bytes(b"0" * count)
    (folder / "work/extract/linked.tar").write_bytes(b"0" * 2**20)
    (folder / "shard.tar").hardlink_to(folder / "work/extract/linked.tar")  # as the shard in data/ is: no more room
    assert workspace.scratch().found == "work: extract 2.0 KiB, infer tsn 512.0 bytes, train tin-demo 4.0 MiB"
    assert "rm -r work" in workspace.scratch().remedy


def test_checks_that_need_the_settings_say_so_where_there_are_none(folder):
    (folder / "params.yaml").unlink()
    for check in (workspace.disk, workspace.corpus, workspace.scratch):
        with pytest.raises(UserError, match=r"params\.yaml does not exist"):
            check()
