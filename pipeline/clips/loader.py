"""Samples -> batches: their order, and the worker processes that load them."""

import copy
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from types import FrameType
from typing import Any

import numpy as np
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, Dataset, Sampler

PARENT_SECONDS = 5.0
"""Seconds after which a worker looks again whether its parent lives."""


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Shuffled batches of (epoch, position of a video); the order is a function of (seed, epoch).

    Set `epoch` and `first` before each pass; `first` steps are left out, so that a resumed run goes on in the middle.
    A remainder smaller than a batch is dropped; it holds other videos in each epoch.

    This process gets every `processes`-th video of a batch, from number `rank` on, in `parts` pieces.

    Args:
        videos: number of videos.
        batch: videos of a step, over all processes.
        rank: number of this process, 0 .. processes - 1.
        most: largest number of videos in a piece; it is exceeded where a process with fewer videos would get an empty
            piece, since all processes make the same number. None gives a process its whole share in one piece.

    Attributes:
        parts: number of pieces in a step.
        smallest_piece: number of videos in the smallest piece.
    """

    def __init__(
        self, videos: int, batch: int, seed: int, *, rank: int = 0, processes: int = 1, most: int | None = None
    ) -> None:
        self.videos, self.batch, self.seed = videos, batch, seed
        self.rank, self.processes = rank, processes
        smallest, largest = batch // processes, -(-batch // processes)
        self.parts = min(-(-largest // (most or largest)), smallest)  # a piece holds one clip at least
        self.smallest_piece = smallest // self.parts
        self.epoch, self.first = 0, 0

    @property
    def steps(self) -> int:
        """Number of batches in a whole epoch."""
        return self.videos // self.batch

    def __len__(self) -> int:
        """Number of pieces in a whole epoch."""
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The pieces of the rest of the epoch, `parts` for each step."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.videos)
        for step in range(self.first, self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch][self.rank :: self.processes]
            for piece in np.array_split(chosen, self.parts):
                yield [(self.epoch, int(position)) for position in piece]


def loader(dataset: Dataset[Any], workers: int, pin: bool, *, stay: bool = False, **options: object) -> DataLoader[Any]:
    """A DataLoader whose workers leave SIGINT and SIGTERM to their parent.

    Ctrl-C and schedulers signal every process of a job: workers go on until their parent has saved and ends them.

    Args:
        workers: number of worker processes; 0 loads in the calling process.
        pin: whether batches are copied to pinned memory, from which a GPU reads faster.
        stay: whether workers stay alive between passes.
        options: arguments of DataLoader.
    """
    return _Loader(
        dataset,
        num_workers=workers,
        worker_init_fn=_obey_the_parent_only,
        persistent_workers=stay and workers > 0,
        pin_memory=pin,
        multiprocessing_context=_context() if workers else None,
        **options,  # type: ignore[arg-type]  # each caller passes its own
    )


class _Loader(DataLoader[Any]):
    """A DataLoader whose workers, with all threads that libraries start in them, have SIGTERM and SIGINT blocked.

    That a worker has died is an error where a batch is waited for, and nowhere else.
    """

    def __iter__(self) -> Any:
        if not self.num_workers:
            return super().__iter__()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            batches = super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _deaths.adopt()
        return self._waited_for(batches)

    @staticmethod
    def _waited_for(batches: Iterator[Any]) -> Iterator[Any]:
        while True:
            try:
                with _deaths.heard():
                    batch = next(batches, _END)
            except (EOFError, ConnectionError) as error:  # seen before the system says that the worker has died
                if "in DataLoader worker process" in str(error):  # it lives, and what it reads gave the error
                    raise
                raise RuntimeError("DataLoader worker (pid unknown) died while it handed over a batch") from error
            if batch is _END:
                return
            yield batch


class _Deaths:
    """PyTorch's handler of SIGCHLD, put off until a batch is waited for.

    By itself it raises its error wherever the process is: a resume state that is being read would be called damaged.
    """

    def __init__(self) -> None:
        self.waiting = False
        self.original: Any = None

    def adopt(self) -> None:
        """Take the place of PyTorch's handler, once there is one; signals are the main thread's."""
        current = signal.getsignal(signal.SIGCHLD)
        if callable(current) and current is not self and threading.current_thread() is threading.main_thread():
            self.original = current
            signal.signal(signal.SIGCHLD, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise an error if a worker has died, while a batch is waited for."""
        if self.waiting and self.original:
            self.original(number, frame)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Raise it within the block; first of all that of a worker that has died before."""
        self.waiting = True
        try:
            self(signal.SIGCHLD, None)
            yield
        finally:
            self.waiting = False


_deaths = _Deaths()
_END = object()


class _ResultQueue(Queue):  # type: ignore[type-arg]  # Queue[Any] is an error at run time
    """A queue that hands over an error in the place of a batch that could not be sent.

    The library's own drops both where shared memory or open files run out, and who waits for the batch waits for ever.
    """

    def _on_queue_feeder_error(self, error: Exception, batch: Any) -> None:
        """Called where `error` is handled; `batch` is (its number, the samples), or what was made of it to be sent.

        Of the second nobody knows the number: then it is the pipe that fails, and its reader is gone, or will see that.
        """
        if isinstance(batch, tuple):  # the wrapper takes the error from the handler
            unsent = _Unsent(where="in a process that loads clips")  # type: ignore[no-untyped-call]  # of PyTorch
            self.put((batch[0], unsent))
        elif not isinstance(error, BrokenPipeError):
            traceback.print_exception(error)


class _Unsent(ExceptionWrapper):
    """The error of what could not be sent; who takes it for the positions of a batch meets it as well."""

    def __iter__(self) -> Iterator[int]:
        self.reraise()  # type: ignore[no-untyped-call]  # of PyTorch
        return iter(())


def _context() -> Any:
    """How this platform starts processes, with such queues."""
    context: Any = copy.copy(multiprocessing.get_context())
    context.Queue = lambda maxsize=0: _ResultQueue(maxsize, ctx=context)
    return context


def _obey_the_parent_only(worker: int) -> None:
    """End this worker at the parent's SIGTERM alone: `multiprocessing` sends one at exit, and waits without limit.

    And once the parent is no more: PyTorch looks for whoever is the parent when a worker is up, and would wait for ever
    for the system's first process where the real one was killed before.
    """
    del worker
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        heard = signal.sigtimedwait({signal.SIGTERM}, PARENT_SECONDS)
        if heard and heard.si_pid == parent.pid:
            break
    os._exit(0)  # PyTorch's parent takes any other status for a crash
