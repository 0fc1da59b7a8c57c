"""Batches: each video once an epoch in an order that the seed decides, and workers that only their parent ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty

import psutil
import pytest

from pipeline.clips.loader import EpochSampler, _context, loader


def order(videos: int, batch: int, seed: int, epoch: int, first: int = 0) -> list[list[int]]:
    sampler = EpochSampler(videos, batch, seed)
    sampler.epoch, sampler.first = epoch, first
    batches = list(sampler)
    assert {made for chosen in batches for made, _ in chosen} <= {epoch}
    return [[position for _, position in chosen] for chosen in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [position for batch in batches for position in batch]


def test_every_video_comes_once_an_epoch():
    batches = order(videos=12, batch=4, seed=0, epoch=0)

    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert sorted(flat(batches)) == list(range(12))


def test_the_order_is_shuffled_by_seed_and_epoch_alone():
    def shuffled(seed: int, epoch: int) -> list[int]:
        return flat(order(videos=50, batch=5, seed=seed, epoch=epoch))

    assert shuffled(0, 0) == shuffled(0, 0) != list(range(50))
    assert len({tuple(shuffled(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_a_rest_smaller_than_a_batch_is_dropped_and_is_another_one_every_epoch():
    left_out = []
    for epoch in range(20):
        batches = order(videos=11, batch=4, seed=0, epoch=epoch)
        assert [len(batch) for batch in batches] == [4, 4]
        left_out.extend({*range(11)} - {*flat(batches)})

    assert set(left_out) == {*range(11)}
    assert len(EpochSampler(11, batch=4, seed=0)) == 2


def test_an_epoch_goes_on_in_the_middle():
    whole = order(videos=20, batch=4, seed=0, epoch=3)

    assert order(videos=20, batch=4, seed=0, epoch=3, first=2) == whole[2:]
    assert order(videos=20, batch=4, seed=0, epoch=3, first=5) == []


LEFT_OVER = """
import multiprocessing
import sys
import stages
from pipeline.clips.loader import loader

batches = iter(loader(range(10**6), 2, pin=False, batch_size=None))
print(next(batches), next(batches), *(worker.pid for worker in multiprocessing.active_children()), flush=True)
sys.stdin.readline()
print(len([next(batches) for _ in range(100)]), flush=True)
sys.stdin.readline()
"""  # both workers load when it prints, and it ends in the middle of a pass, as a failed training does


@pytest.fixture
def job():
    with subprocess.Popen(
        [sys.executable, "-c", LEFT_OVER], cwd=Path(__file__).parents[2], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


ORPHANED = """
import multiprocessing, os, signal, time
import stages
from pipeline.clips import loader

obey = loader._obey_the_parent_only
loader._obey_the_parent_only = lambda worker: (time.sleep(2), obey(worker))
batches = iter(loader.loader(range(10**6), 2, pin=False, batch_size=None))
print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_workers_leave_whose_parent_was_killed_before_they_began():
    job = subprocess.Popen(
        [sys.executable, "-c", ORPHANED], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    with job:
        workers = job.stdout.readline().split()
    assert len(workers) == 2
    assert_gone(workers)


@pytest.mark.slow
def test_workers_load_on_after_a_signal_to_all_and_leave_with_their_parent(job):
    first, second, *workers = job.stdout.readline().split()
    assert (first, second, len(workers)) == ("0", "1", 2)
    for pid in workers:
        assert (hearing(pid, signal.SIGINT), hearing(pid, signal.SIGTERM)) == (0, 1)  # one waits for the parent's
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(int(pid), number)
    time.sleep(0.2)
    job.stdin.write("\n")
    job.stdin.flush()
    assert job.stdout.readline() == "100\n"

    job.stdin.close()
    assert job.wait(timeout=30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def hearing(pid: str, number: signal.Signals) -> int:
    """How many threads of a process do not block a signal. A library may start some before any of our code runs."""
    states = [(task / "status").read_text().splitlines() for task in Path(f"/proc/{pid}/task").iterdir()]
    blocked = [int(line.split()[1], 16) for lines in states for line in lines if line.startswith("SigBlk")]
    return sum(1 - (mask >> (number - 1) & 1) for mask in blocked)


@pytest.mark.slow
def test_a_dead_worker_is_an_error_where_a_batch_is_waited_for_and_nowhere_else():
    batches = iter(loader(range(10**6), 2, pin=False, batch_size=None))
    next(batches)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.5)  # the signal comes here
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid"):
        list(batches)


class Torn:
    """A dataset whose file ends too early."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, position: int) -> int:
        raise EOFError(f"at {position}")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_dataset_is_no_death(workers: int):
    with pytest.raises(EOFError, match="at 0"):
        list(loader(Torn(), workers, pin=False, batch_size=None))


@pytest.mark.slow
def test_of_two_loaders_at_once_one_may_be_left_early():
    one, other = (iter(loader(range(20), 2, pin=False, batch_size=None)) for _ in range(2))
    next(one)
    next(other)
    del one
    assert list(other) == list(range(1, 20))


@pytest.mark.slow
def test_workers_leave_when_their_parent_is_killed(job):
    workers = job.stdout.readline().split()[2:]
    job.kill()
    job.wait()
    assert_gone(workers)


def assert_gone(workers: list[str]) -> None:
    """A worker looks for its parent every five seconds; the system's first process may take its time to reap it."""
    deadline = time.monotonic() + 30
    while living := [pid for pid in workers if lives(int(pid))]:
        assert time.monotonic() < deadline, f"still there: {living}"
        time.sleep(0.1)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Samples:
    """Numbers, of which one cannot be sent."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, position: int) -> object:
        return threading.Lock() if position == 1 else position


def alone(sample: object) -> object:
    return sample


def test_a_sample_that_cannot_be_sent_is_an_error_in_its_place():
    batches = iter(loader(Samples(), 1, pin=False, batch_size=None, collate_fn=alone))
    assert next(batches) == 0
    with pytest.raises(
        TypeError, match="(?s)Caught TypeError in a process that loads clips.*cannot pickle '_thread.lock'"
    ):
        next(batches)


def test_a_position_that_cannot_be_sent_is_an_error_that_says_so():
    batches = iter(loader(Samples(), 1, pin=False, batch_sampler=[[0], [threading.Lock()]], collate_fn=alone))
    assert next(batches) == [0]
    with pytest.raises(TypeError, match="cannot pickle '_thread.lock'"):
        next(batches)


@pytest.mark.parametrize(("error", "said"), [(OSError(5, "it fails"), "it fails"), (BrokenPipeError(), "")])
def test_a_pipe_that_fails_puts_nothing_in_its_place(capsys, error, said):
    queue = _context().Queue()
    queue._on_queue_feeder_error(error, memoryview(b"\x80\x05 of a batch"))
    with pytest.raises(Empty):
        queue.get(timeout=0.2)
    assert capsys.readouterr().err.rstrip().endswith(said)
    queue.close()
