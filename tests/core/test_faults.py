"""What a machine refuses is told by what libraries really raise, under limits that any user may set."""

import errno
import io
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch

from pipeline.core import faults
from pipeline.core.errors import UserError

NOISE = np.random.default_rng(0).bytes(1 << 20)


def write_lmdb(path: Path) -> None:
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 24, lock=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"key", NOISE)


WRITERS = {
    "bytes": lambda path: path.write_bytes(NOISE),
    "numpy": lambda path: np.save(path, np.frombuffer(NOISE, np.uint8)),
    "parquet": lambda path: pd.DataFrame({"noise": np.frombuffer(NOISE)}).to_parquet(path),
    "safetensors": lambda path: safetensors.numpy.save_file({"noise": np.frombuffer(NOISE, np.uint8)}, path),
    "lmdb": write_lmdb,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk(tmp_path, write):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(Exception) as caught:
            write(tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert re.match("(The|A) disk is full", told(caught.value))
    assert "ake room" in told(caught.value)
    assert told(caught.value).endswith("the same command goes on.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_the_file(number):
    error = OSError(number, os.strerror(number), "data/x")
    assert f"The disk is full ([Errno {number}] {os.strerror(number)}: 'data/x')" in told(error)


def test_too_many_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError) as caught, Path(__file__).open():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "`ulimit -n 4096`" in told(caught.value)


def test_too_many_open_files_in_shared_memory():
    words = "unable to open shared memory object </torch_29919_1396182366> in read-write mode: Too many open files (24)"
    assert "`ulimit -n 4096`" in told(RuntimeError(words))


def test_a_number_tells_more_than_a_name_that_reads_like_words():
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "Bus error/No space left on device.mp4")
    assert "may not be read or written" in told(error)


ALLOCATIONS = {
    "bytes": lambda: bytearray(1 << 60),
    "numpy": lambda: np.empty(1 << 58),
    "torch": lambda: torch.empty(1 << 58),
}


@pytest.mark.parametrize("allocate", ALLOCATIONS.values(), ids=ALLOCATIONS)
def test_too_little_memory(allocate: Callable[[], object]):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate()
    assert "There is too little memory (" in told(caught.value)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_file_that_may_not_be_written(number):
    assert "may not be read or written" in told(OSError(number, os.strerror(number), "data"))
    assert "'data'" in told(OSError(number, os.strerror(number), "data"))


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyError("Permission"), UserError("mend this"), io.UnsupportedOperation()]
)
def test_other_errors_say_nothing_of_the_machine(error):
    assert faults.told(error) is None


def told(error: BaseException) -> str:
    said = faults.told(error)
    assert said is not None, repr(error)
    return said
