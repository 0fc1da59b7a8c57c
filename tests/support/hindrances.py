"""What a test does to a stage before it starts: see `stage_process.Running`, whose process calls these."""

import ctypes
import itertools
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.clips import frame_store, loader, transforms
from pipeline.clips.frame_store import FrameStore
from pipeline.extraction import extract
from pipeline.inference.run import score


def slow_frames(gate: Path | None = None) -> None:
    """Each video takes a fifth of a second to extract, to pack or to read, so that a stage is seen at work.

    Args:
        gate: once a video is done, its thread waits until this file is there, so that the stage cannot end before.
    """
    read, to_tar, encode = FrameStore.read, extract._record, frame_store.encode

    def wait() -> None:
        time.sleep(0.2)
        while gate and not gate.exists():
            time.sleep(0.02)

    def slow(self: FrameStore, video: str, indices: Sequence[int]) -> list[memoryview]:
        done = read(self, video, indices)
        wait()
        return done

    def slow_to_tar(*arguments: Any) -> dict[str, Any]:
        done = to_tar(*arguments)
        wait()
        return done

    def slow_encode(*arguments: Any) -> bytes:
        done = encode(*arguments)
        wait()
        return done

    FrameStore.read, extract._record, frame_store.encode = slow, slow_to_tar, slow_encode


def gated_score(gate: Path, *arguments: Any) -> None:
    """`inference.run.score` for a node of Ray, which reads its fifth video and those after it once a file is there."""
    read, numbers = FrameStore.read, itertools.count()

    def waiting(self: FrameStore, video: str, indices: Sequence[int]) -> list[memoryview]:
        number = next(numbers)
        while number >= 4 and not gate.exists():
            time.sleep(0.05)
        return read(self, video, indices)

    FrameStore.read = waiting
    score(*arguments)


def starved_workers() -> None:
    """A loader's workers get no memory for what they decode, which is far more than usual."""
    decode = transforms.decode

    def starved(jpegs: Sequence[memoryview], *others: Any) -> torch.Tensor:
        if not torch.utils.data.get_worker_info():
            return decode(jpegs, *others)
        resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
        try:
            return decode(list(jpegs) * 10_000, *others)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    transforms.decode = starved


def no_shared_memory() -> None:
    """Files, and so pieces of shared memory, may have 4 KiB in a loader's workers: as with a full /dev/shm."""
    _in_workers(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)))


def full_disk() -> None:
    """Files may have 1500 bytes, but for a loader's workers, whose shared memory counts as files."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
    _in_workers(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2))


def _in_workers(call: Callable[[], None]) -> None:
    """Call it in each of a loader's workers, before it loads."""
    before = loader._obey_the_parent_only

    def start(worker: int) -> None:
        before(worker)
        call()

    loader._obey_the_parent_only = start


def no_power_over_rights() -> None:
    """Root, too, is kept out by what `chmod` says, as any user is."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3, this process; none
        assert libc.capset(header, data) == 0


def jumping_clock() -> None:
    """The wall clock jumps a year ahead and back with every look at it."""
    now, years = time.time, itertools.cycle((0, 1, -1))
    time.time = lambda: now() + next(years) * 365 * 86400
