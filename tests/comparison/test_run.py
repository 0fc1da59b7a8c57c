"""Runs that lie in commits and experiments of DVC."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.comparison.run import find
from pipeline.core.errors import UserError
from tests.comparison.conftest import write
from tests.support import project
from tests.support.command import call

STAGES = """
stages:
  answer:
    cmd: mkdir -p data && cp -r answers/${net.answers}/data/. data/
    deps: [answers]
    params: [net]
    outs: [data/ensemble, data/manifest.tsv]
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A project with a commit of the answers `one` and an experiment, odd-name, of `other`."""
    root = tmp_path_factory.mktemp("repository")
    for command in (["git", "init", "-q", "-b", "main"], [sys.executable, "-m", "dvc", "init", "-q"]):
        project.run(command, root)
    for name, answers in (("one", "rrjjrrrr"), ("other", "rrjjffrj")):
        write(root / "answers" / name, answers)
    (root / "dvc.yaml").write_text(STAGES)
    (root / "params.yaml").write_text("net: {answers: one}\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    project.run(["git", *identity, "config", "--local", "user.name", "a"], root)
    project.run(["git", "config", "--local", "user.email", "a@b.c"], root)
    project.dvc(root, "repro")
    project.run(["git", "add", "--all"], root)
    project.run(["git", "commit", "-q", "-m", "One"], root)
    project.dvc(root, "exp", "run", "-n", "odd-name", "-S", "net.answers=other")
    project.run(["git", "checkout", "-q", "--", "."], root)
    shutil.rmtree(root / "data")
    project.dvc(root, "checkout")
    return root


@pytest.mark.slow
def test_a_commit_an_experiment_and_the_folder_itself(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "80")  # for which the three are two tables
    call("compare", "main", "odd-name", ".")
    said = capsys.readouterr().out
    assert 'net.answers: "one" -> "other"' in said
    lines = [line for line in said.splitlines() if line.startswith("| ensemble, test")]
    cells = [[cell.strip() for cell in line.split("|")[2:4]] for line in lines]
    assert cells == [["62.50", "100.00"], ["62.50", "62.50"]]
    assert "C  .\n   nothing was changed" in said  # the folder is what the commit is
    call("compare", "odd-name", "--json", "-")
    assert '"mean": 62.5' in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_neither_folder_nor_revision(repository, monkeypatch):
    monkeypatch.chdir(repository)
    with ExitStack() as stack, pytest.raises(UserError, match="'nothing' is no folder, and as a commit or experiment"):
        find("nothing", stack)


@pytest.mark.slow
def test_an_object_that_the_cache_lacks_is_said(repository, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy, symlinks=True)
    shutil.rmtree(copy / ".dvc/cache")
    monkeypatch.chdir(copy)
    with ExitStack() as stack, pytest.raises(UserError, match="dvc fetch"):
        find("odd-name", stack)


def test_outside_of_a_project_a_revision_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack, pytest.raises(UserError, match="There is no folder 'main'; for a commit or experiment"):
        find("main", stack)
