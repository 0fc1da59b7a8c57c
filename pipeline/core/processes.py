"""Work for several processes, such as a shard each, none of which outlives the one that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from pipeline.core.errors import UserError

A = TypeVar("A")
B = TypeVar("B")


def each(work: Callable[[A], B], items: Iterable[A], processes: int) -> Iterator[tuple[A, B]]:
    """Pairs (item, its result) as they are done; with one process, or one item, nothing is forked.

    After an error no further item is begun, and those under way are finished. An interrupt ends them at once.

    Args:
        work: a function of a module, or a `partial` of one: what it gets and gives is pickled.
        items: what it is called with.
        processes: the most that run at a time.

    Raises:
        UserError: the system has ended one of the processes.
        Exception: what `work` has raised.
    """
    waiting = list(items)
    if min(processes, len(waiting)) <= 1:
        yield from ((item, work(item)) for item in waiting)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(waiting)), context, initializer=_begin) as pool:
        try:
            futures = {pool.submit(work, item): item for item in waiting}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process has died. Most often the system ended it for want of memory: lower machine.workers in "
                "conf/config.yaml (then `pipeline params`). What was finished is kept, and the same command goes on."
            ) from error
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
        except BaseException:  # an interrupt, or a caller that wants no more
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _begin() -> None:
    """Leave Ctrl-C, which a terminal sends to all, to the parent; and end when it does, however that comes about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
