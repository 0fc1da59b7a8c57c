"""`pipeline page`: the copy is called by what has the same inputs, and the page in DVC's cache stays as it is."""

import os
import re
import shutil
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.core.errors import UserError
from pipeline.report import page as report_page
from tests.support import finished, project
from tests.support.html_page import EVIL, check
from tests.support.html_page import page as written

STAGE = """
stages:
  report:
    cmd: mkdir -p data && cp -r made data/report && cat params.yaml >> data/report/index.html
    deps: [made]
    params: [lr]
    outs: [data/report]
"""


def test_a_name_stands_in_the_headline_escaped_and_once(tmp_path):
    text = written(finished.run(tmp_path / "run"), tmp_path / "made")
    named = report_page.named(text, EVIL)
    read = check(named)
    assert f"Run: {EVIL}" in read.text
    assert named.index("Run: ") < named.index("<h1>")
    assert report_page.is_named(named)
    assert not report_page.is_named(text)
    with pytest.raises(UserError, match="dvc repro report"):
        report_page.named(named, "another")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A repository with a page, an experiment `lr-up` and another that is the same."""
    root = tmp_path_factory.mktemp("project")
    written(finished.run(root / "run"), root / "made")
    shutil.rmtree(root / "run")
    (root / "dvc.yaml").write_text(STAGE)
    (root / "params.yaml").write_text("lr: 1\n")
    (root / ".gitignore").write_text("/data/*\n")
    project.run(["git", "init", "-q"], root)
    for key, value in (("user.name", "a"), ("user.email", "a@b.c")):
        project.run(["git", "config", key, value], root)
    project.dvc(root, "init", "-q")
    project.dvc(root, "repro")
    project.run(["git", "add", "--all"], root)
    project.run(["git", "commit", "-q", "-m", "A run"], root)
    for name in ("lr-up", "lr-up-again"):
        project.dvc(root, "exp", "run", "-n", name, "-S", "lr=2")
        project.run(["git", "restore", "."], root)
    project.dvc(root, "checkout")
    return root


@pytest.fixture
def call(root, monkeypatch, capsys):
    """Run the command in the repository: what it prints, and the page that it wrote."""
    monkeypatch.chdir(root)

    def call_it(*arguments, out="data/page"):
        status = main(["page", *arguments, "--out", out])
        return status, capsys.readouterr(), Path(out, "index.html")

    return call_it


@pytest.mark.slow
def test_a_page_is_called_by_what_has_the_same_inputs(root, call):
    (head,) = project.run(["git", "rev-parse", "HEAD"], root).stdout.split()
    cached = (root / "data/report/index.html").read_bytes()

    def run_of(*arguments, **options):
        status, _, file = call(*arguments, **options)
        assert not status
        assert {path.name for path in file.parent.iterdir()} == {path.name for path in Path("data/report").iterdir()}
        (name,) = re.findall(r'<p class="run">Run: (.*)</p>', text := file.read_text())
        return name, int(re.search(r"lr: (\d)", text[-10:])[1])

    assert run_of() == (f"commit {head[:7]}", 1)
    assert run_of() == (f"commit {head[:7]}", 1), "a copy of its own is replaced"
    experiment = f"experiments lr-up, lr-up-again; begun from commit {head[:7]}", 2
    assert run_of("lr-up", out="data/other") == experiment
    Path("params.yaml").write_text("lr: 2\n")
    project.dvc(root, "repro")
    assert run_of() == experiment, "data/ is what the experiments made"
    Path("params.yaml").write_text("lr: 3\n")
    project.dvc(root, "repro")
    assert run_of() == (f"commit {head[:7]} with changes that are not committed", 3)
    project.run(["git", "restore", "."], root)
    project.dvc(root, "checkout")
    assert Path("data/report/index.html").read_bytes() == cached


@pytest.mark.slow
def test_what_it_cannot_name_or_must_not_replace_is_refused(root, call):
    def refused(*arguments, **options):
        status, said, _ = call(*arguments, **options)
        assert status == 1
        return said.err

    assert "holds something else" in refused(out="made")
    assert "holds something else" in refused(out="data/report")
    assert "'lr-down' is no folder" in refused("lr-down")
    Path("params.yaml").write_text("lr: 4\n")
    try:
        assert "`dvc repro`" in refused()
    finally:
        project.run(["git", "restore", "."], root)
    assert not os.path.lexists("data/.page.partial")
