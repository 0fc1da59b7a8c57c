"""What tests leave on the disk: nothing where they pass, and the folders of the last run where one fails."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.browser import browse, in_browser
from tests.support.devtools import Tab

ROOT = Path(__file__).parents[1]
TESTS = """
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("number", range(4))
def test_it(number, tmp_path, shared):
    (tmp_path / "content").write_text("some")
    (shared / str(number)).write_text(str(tmp_path))


@pytest.mark.parametrize("number", range(2))
def test_what_passed_has_no_folder_any_more(number, shared):
    assert not [file for file in shared.iterdir() if Path(file.read_text()).exists()]


def test_it_may_fail(tmp_path):
    (tmp_path / "trace").write_text("some")
    assert not FAILS
"""


PLUGINS, ALONE = (
    ("-p", "no:cacheprovider", "-p", "xdist", "-p", "pytest_timeout"),
    {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
)
"""Those of other packages take a second to import, for each of many processes."""


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_folder_goes_with_a_test_that_passed_and_stays_where_one_failed(tmp_path, processes):
    def left(fails: bool) -> list[str]:
        (tmp_path / "test_some.py").write_text(f"FAILS = {fails}\n{TESTS}")
        asked = ["-c", ROOT / "pyproject.toml", *PLUGINS, "-n", processes, tmp_path / "test_some.py"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *asked], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": "", **ALONE},
        )  # fmt: skip
        assert f"{6 if fails else 7} passed" in done.stdout, done.stdout
        return sorted(path.name for path in (tmp_path / "temporary").rglob("*") if path.is_file() and path.suffix == "")

    (tmp_path / "temporary").mkdir()
    assert left(fails=False) == []
    for _ in range(2):
        assert [name for name in left(fails=True) if name in ("content", "trace")] == ["trace"]  # of the last run


@pytest.mark.slow
@in_browser
def test_a_browser_leaves_nothing(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("<title>it</title>")
    with tempfile.TemporaryDirectory() as folder:  # of a path that is short enough for a socket
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert "<title>it</title>" in browse(page, tmp_path / "one")[0]
        with Tab(page, tmp_path / "other") as tab:
            assert tab.run("return document.title") == "it"
            assert list(Path(folder).iterdir()), "it works in there"
        assert list(Path(folder).iterdir()) == []
