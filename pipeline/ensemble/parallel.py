"""Work shared out to forked processes, which see the arrays of this one and send back only what they find.

NumPy calls too short to gain from threads gain from this, and nothing is copied on the way there.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")

_work: Callable[[int], Any]


def each(work: Callable[[int], T], items: Iterable[int], processes: int) -> list[T]:
    """`work` of each item, in their order; with one process, in this one.

    `work` may be a closure over anything, and must use no library whose threads a fork leaves behind (NumPy is fine).
    """
    if processes == 1:
        return [work(item) for item in items]
    with ProcessPoolExecutor(processes, get_context("fork"), initializer=_adopt, initargs=(work,)) as pool:
        return list(pool.map(_run, items))


def _adopt(work: Callable[[int], Any]) -> None:
    global _work  # noqa: PLW0603  # a fork hands over what could not be sent
    _work = work


def _run(item: int) -> Any:
    return _work(item)
