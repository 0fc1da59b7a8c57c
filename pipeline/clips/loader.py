"""From samples to batches: their order, and the processes that load them."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, position), shuffled: the order is a function of (seed, epoch).

    Set `epoch` and `first` before each pass; `first` steps are left out, so that a resumed run goes on in the middle.
    A rest smaller than a batch is dropped, which is other videos in each epoch.

    Of each batch this process gets the positions number `rank`, `rank` + `processes`, ..., in `parts` pieces.

    Args:
        batch: videos a step, over all processes.
        most: largest piece, but that all processes make as many pieces, of which none is empty; None where a process
            takes its whole share at once.

    Attributes:
        parts: pieces a step.
        smallest_piece: videos.
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
        """Batches of a whole epoch."""
        return self.videos // self.batch

    def __len__(self) -> int:
        """Pieces of a whole epoch."""
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The pieces of the rest of the epoch, `parts` a step."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.videos)
        for step in range(self.first, self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch][self.rank :: self.processes]
            for piece in np.array_split(chosen, self.parts):
                yield [(self.epoch, int(position)) for position in piece]


def loader(dataset: Dataset, workers: int, pin: bool, *, stay: bool = False, **options: object) -> DataLoader:
    """A DataLoader; its workers `stay` alive between passes or not, and 0 workers load in the calling process.

    Ctrl-C and schedulers reach every process of a job: workers load on until their parent has saved and ends them.
    """
    return _Loader(
        dataset,
        num_workers=workers,
        worker_init_fn=_obey_the_parent_only,
        persistent_workers=stay and workers > 0,
        pin_memory=pin,
        **options,  # type: ignore[arg-type]  # each caller passes its own
    )


class _Loader(DataLoader):
    """Its workers, with any thread that a library starts in them, are born deaf to SIGTERM and SIGINT."""

    def __iter__(self) -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _obey_the_parent_only(worker: int) -> None:
    """Listen for the parent's SIGTERM: as its process ends, `multiprocessing` sends one, and waits without limit."""
    del worker
    threading.Thread(target=_end_when_the_parent_says, daemon=True).start()


def _end_when_the_parent_says() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)  # PyTorch's parent takes any other status for a crash
