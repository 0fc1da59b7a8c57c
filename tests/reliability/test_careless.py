"""What people do in passing: each ends in a message that names the command, or goes on; never in a traceback."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import project
from tests.support.corpus import take
from tests.support.stage_process import ORDER, ROOT, contents, make, outs, run

pytestmark = pytest.mark.slow


def refused(stage: str, folder: Path) -> str:
    """The message of a stage that must refuse to run."""
    ended = run(stage, folder)
    assert ended.status == 1, ended.said
    assert "error: " in ended.said
    assert "Traceback" not in ended.said
    return ended.said


@pytest.mark.parametrize("stage", ORDER[2:])
def test_a_stage_out_of_order_names_the_one_that_comes_before(tmp_path, clips, stage):
    assert "`dvc repro" in refused(stage, make(tmp_path / "project", clips))


@pytest.mark.parametrize("stage", ["check", "index", "extract", "train", "ensemble"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "params.yaml does not exist"),
        ("models: [tsn_demo", "is no readable YAML"),
        ("gr\xfcn".encode("latin-1"), "is no readable YAML"),
        ("", "holds no settings|has no section"),
        (
            "dataset: {root: 3}\nmodels:\n",
            "this section is missing|must be a text|has no section|is missing|must be of type",
        ),
    ],
    ids=["none", "cut", "latin", "empty", "stump"],
)
def test_a_params_yaml_that_somebody_edited_is_refused(finished, tmp_path, stage, text, said):
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("work"))
    (folder / "params.yaml").unlink()
    if text is not None:
        (folder / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = contents(folder / "data/predictions")
    told = refused(stage, folder)
    assert any(words in told for words in said.split("|")), told
    assert "pipeline params" in told
    assert contents(folder / "data/predictions") == before


def test_where_the_corpus_moved_the_manifest_stays_and_the_setting_is_named(finished, tmp_path, clips):
    folder = make(tmp_path / "project", clips, "dataset.root=gone")
    shutil.copytree(finished / "data", folder / "data")
    before = {out: (folder / out).read_bytes() for out in outs("index")}
    told = refused("index", folder)
    assert "Set dataset.root in conf/dataset/, then `make params`" in told
    assert "`dvc repro --downstream extract` goes on" in told
    assert {out: (folder / out).read_bytes() for out in outs("index")} == before


def corpus(folder: Path, rows: list[str], content: Path | None) -> tuple[str, ...]:
    """The settings of a corpus of some videos, all of those pictures, or of none."""
    folder.mkdir()
    for row in rows:
        video = folder / row.partition(",")[0]
        if content is None:
            video.write_bytes(f"no video {row}".encode())
        else:
            take(content, video)
    (folder / "labels.csv").write_text("\n".join(["path,labels", *rows]) + "\n")
    return f"dataset.root={folder}", f"dataset.annotations={folder}/labels.csv"


def test_one_video_is_too_few_to_split(tmp_path, clips):
    folder = make(tmp_path / "project", clips, *corpus(tmp_path / "own", ["a.mp4,run"], clips / "short.mp4"))
    assert "labels.csv: 1 video of 1 class cannot be split so that val has one" in refused("index", folder)


@pytest.mark.parametrize("broken", [False, True])
def test_a_corpus_that_teaches_nothing_is_refused(tmp_path, clips, broken):
    """One class is refused before extraction; that every video is broken is known after it."""
    rows = [f"{n}.mp4,{'run' if n % 2 or not broken else 'jump'}" for n in range(30)]
    own = corpus(tmp_path / "own", rows, None if broken else clips / "short.mp4")
    folder = make(tmp_path / "project", clips, *own)
    assert run("index", folder).status == 0
    if broken:
        assert run("check_corpus", folder).status == 0
        told = refused("extract", folder)
        assert "No video of the split 'train' gave a frame" in told
        assert "Mend or replace the files, then `dvc repro`" in told
        assert not (folder / "data/frames").exists()
    else:
        assert "'run' is the only class, so that there is nothing to tell apart" in refused("check_corpus", folder)


def call(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    everything = {**inherited, "GIT_CEILING_DIRECTORIES": str(folder.parent), **environment}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=everything)


def test_a_download_without_git_is_told_so_before_anything_is_installed(tmp_path):
    folder = project.copy(tmp_path / "project")
    shutil.rmtree(folder / ".git")
    done = call(folder, "make", "demo")
    assert done.returncode != 0
    assert "Make it one: git init && git add ." in done.stdout
    assert not (folder / ".venv").exists()


def test_an_old_python_is_refused_before_anything_is_installed(tmp_path):
    folder = project.copy(tmp_path / "project")
    (folder / "old").write_text(f'#!/bin/sh\ntest "$1" = -c && exec {sys.executable} -c "import sys; sys.exit(1)"\n')
    (folder / "old").chmod(0o755)
    done = call(folder, "make", "install", "PYTHON=./old")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 install" in done.stdout
    assert not (folder / ".venv").exists()


def test_the_python_of_something_else_is_told_how_to_find_ours():
    done = call(ROOT, sys.executable, "-S", "-m", "stages.index", "a", "b", "c")  # -S: without installed packages
    assert done.returncode == 1
    assert "is not the Python of this project" in done.stderr
    assert "`source .venv/bin/activate`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.nightly
def test_an_interrupted_demo_goes_on(tmp_path, clips):
    """On the recorded clips and one model, with an environment that is installed."""
    folder = project.copy(tmp_path / "project")
    shutil.copy(make(tmp_path / "other", clips).joinpath("params.yaml"), folder)
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".venv/.installed").touch()
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    first = subprocess.Popen(
        ["make", "demo"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    said = ""
    for line in first.stdout:
        said += line
        if "Running stage 'pack'" in line:
            os.killpg(first.pid, signal.SIGINT)
    assert first.wait() != 0, said
    assert "Not finished. What was made is kept: `make demo` goes on from there." in said

    again = call(folder, "make", "demo")
    assert again.returncode == 0, again.stderr
    assert not {"check", "extract"} & set(project.ran(again))
    assert {"index", "pack", "train@tsn_demo", "report"} <= set(project.ran(again))
    assert "| tsn_demo" in again.stdout
