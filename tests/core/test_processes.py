"""Work for several processes: every result once, errors as they are, and nobody outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from pipeline.core import processes
from pipeline.core.errors import UserError

ROOT = Path(__file__).parents[2]


def squared(folder: Path, number: int) -> int:
    (folder / f"{number}-{os.getpid()}").touch()
    return number * number


def fails_at_two(folder: Path, number: int) -> None:
    if number == 2:
        raise UserError(f"no {number}")
    time.sleep(0.1)
    (folder / str(number)).touch()


def dies(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(folder: Path, number: int) -> None:
    (folder / str(os.getpid())).touch()
    if number:
        time.sleep(100)


def gone(pid: int) -> bool:
    """Whether a process has ended, or waits only for somebody to hear of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def assert_all_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


@pytest.mark.parametrize(("count", "forked"), [(1, False), (3, True), (20, True)])
def test_every_item_has_its_result(tmp_path, count, forked):
    found = dict(processes.each(partial(squared, tmp_path), range(7), count))

    assert found == {number: number * number for number in range(7)}
    makers = {path.name.partition("-")[2] for path in tmp_path.iterdir()}
    assert (str(os.getpid()) not in makers) == forked
    assert len(list(tmp_path.iterdir())) == 7


def test_nothing_is_forked_for_one_item(tmp_path):
    assert list(processes.each(partial(squared, tmp_path), [3], 8)) == [(3, 9)]
    assert (tmp_path / f"3-{os.getpid()}").exists()


def test_an_error_is_told_as_it_is_and_what_is_under_way_is_finished(tmp_path):
    with pytest.raises(UserError, match="^no 2$"):
        list(processes.each(partial(fails_at_two, tmp_path), [1, 2, *range(3, 40)], 2))

    assert (tmp_path / "1").exists()
    assert len(list(tmp_path.iterdir())) < 20, "the rest is not begun"


def test_a_process_that_the_system_ends_is_a_message():
    with pytest.raises(UserError, match=r"has died.*want of memory: lower machine\.workers"):
        list(processes.each(dies, range(3), 2))


def test_who_wants_no_more_waits_for_nobody(tmp_path):
    start = time.monotonic()
    results = processes.each(partial(sleeps, tmp_path), [0, 1, 1], 2)
    next(results)
    results.close()

    assert time.monotonic() - start < 50
    assert_all_end([int(path.name) for path in tmp_path.iterdir()])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nobody_outlives_the_one_that_started_it(tmp_path, number):
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from pipeline.core import processes; from tests.core.test_processes import sleeps\n"
        "list(processes.each(partial(sleeps, Path(sys.argv[1])), [1, 1, 1], 3))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    parent.send_signal(number)

    assert parent.wait(20) == -number
    assert_all_end([int(path.name) for path in tmp_path.iterdir()])
