"""The page of a run as large as it is made for: how many bytes, how much memory, and how soon a browser shows it."""

import shutil
from pathlib import Path

import psutil
import pytest

from pipeline.report.page import PAGE
from tests.support import large_run
from tests.support.browser import in_browser
from tests.support.devtools import Tab

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]  # the run alone takes a minute of CPU and 2.5 GB


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    cpu, memory = large_run.page_cost(large_run.write(folder / "data"), folder / "report")
    shutil.rmtree(folder / "data")
    print(f"\npage of the large run: {cpu:.1f} s of CPU, {memory:.2f} GB of memory")
    return folder / "report"


def browsed(file: Path, profile: Path) -> tuple[float, float, list[str]]:
    """CPU seconds of all of a browser's processes, wall seconds to the page's load event, and its console."""
    with Tab(file, profile) as tab:
        wall = tab.run("return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
        browser = psutil.Process(tab._process.pid)
        times = [one.cpu_times() for one in (browser, *browser.children(recursive=True))]
        return sum(one.user + one.system for one in times), wall, tab.console


@in_browser
def test_the_page_of_a_large_run_is_small_and_a_browser_has_nothing_to_complain_about(out, tmp_path):
    (tmp_path / "empty.html").write_text("<!doctype html><title>empty</title>")
    rest, _, _ = browsed(tmp_path / "empty.html", tmp_path / "a")
    cpu, wall, console = browsed(out / PAGE, tmp_path / "b")
    size = (out / PAGE).stat().st_size
    print(f"\n{size / 1e6:.2f} MB; loads in {wall:.2f} s, {cpu - rest:.2f} s of CPU beside an empty page's {rest:.2f}")
    assert size < 10_000_000
    assert console == []
