"""Every odd or broken file ends in frames or in the ledger, for the right reason and in bounded memory."""

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.support.measured_extraction import MOST_MEMORY, outcome, wrapper
from tests.support.odd_files import KINDS, record


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    record(folder)
    return folder


def test_there_are_a_hundred_kinds():
    assert len(KINDS) >= 100


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_an_odd_file_ends_in_frames_or_the_right_reason(healthy: Path, tmp_path: Path, name: str):
    kind = KINDS[name]
    kind.make(healthy, tmp_path / name)

    found = outcome(tmp_path / name, tmp_path)
    assert found.reason in kind.outcome.split()
    if kind.frames is not None:
        assert abs(found.frames - kind.frames) <= 2
    assert found.megabytes < MOST_MEMORY


def test_a_killed_wrapper_takes_ffmpeg_along(tmp_path: Path):
    endless = "-v quiet -re -f lavfi -i testsrc2=s=16x16 -f null -"
    with subprocess.Popen([wrapper(tmp_path), *endless.split()], stdin=subprocess.DEVNULL) as process:
        while not (children := psutil.Process(process.pid).children()):
            pass
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    for child in alive:
        child.kill()
    assert not alive
