"""Work shared by forked processes, which read this process's arrays without a copy and send back only their results.

It pays for many NumPy calls that are each too short to gain from threads.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")

_work: Callable[[int], Any]


def forked_map(work: Callable[[int], T], items: Iterable[int], processes: int) -> list[T]:
    """Results of `work` for each item, in their order; with one process nothing is forked.

    `work` may be a closure over anything. It must not use a library whose threads are lost in a fork (NumPy is fine).
    """
    if processes == 1:
        return [work(item) for item in items]
    with ProcessPoolExecutor(processes, get_context("fork"), initializer=_set_work, initargs=(work,)) as pool:
        return list(pool.map(_call_work, items))


def _set_work(work: Callable[[int], Any]) -> None:
    global _work  # noqa: PLW0603  # a closure cannot be pickled; a fork inherits it
    _work = work


def _call_work(item: int) -> Any:
    return _work(item)
