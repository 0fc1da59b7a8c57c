"""Two processes find what one finds, and what goes wrong in them is said here."""

import os

import numpy as np
import pytest

from pipeline.ensemble.parallel import forked_map

pytestmark = pytest.mark.slow  # it starts processes


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_closures_over_arrays_work_in_order(processes):
    large = np.arange(10.0)
    assert forked_map(lambda item: float(large[item:].sum()), range(10), processes) == [
        float(large[item:].sum()) for item in range(10)
    ]


def test_it_is_other_processes_that_work():
    found = forked_map(lambda _: os.getpid(), range(4), processes=2)
    assert os.getpid() not in found
    assert forked_map(lambda _: os.getpid(), range(2), processes=1) == [os.getpid()] * 2


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_back(processes):
    def divide(item: int) -> float:
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        forked_map(divide, range(3), processes)


def test_a_process_that_is_killed_is_an_error_and_no_hang():
    with pytest.raises(RuntimeError, match="terminated abruptly"):
        forked_map(lambda _: os._exit(9), range(3), processes=2)
