"""Bars for long loops: drawn in place in a terminal, a plain line now and then in a file, and told to `status`."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tqdm import tqdm

from pipeline.core import status

LINE_SECONDS = 30.0
"""Seconds between two lines of a bar that goes to a file."""
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s ({percentage:.0f}%), {elapsed} so far, {remaining} left{postfix}"


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A tqdm bar over `items`, or one that its user updates, with tqdm's `options`; what it says goes to stderr.

    A file (a log of `dvc repro`, of a queue or of SLURM) gets no control characters, and nothing of a loop that ends
    within `LINE_SECONDS`.
    """
    if sys.stderr.isatty():
        return _Bar(items, dynamic_ncols=True, **options)
    return _Lines(items, bar_format=LINE, **{"mininterval": LINE_SECONDS, "delay": LINE_SECONDS, **options})


class _Bar(tqdm):  # type: ignore[type-arg]  # tqdm[Any] is an error at run time
    """A bar that tells how far it is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tell()

    def __iter__(self) -> Iterator[Any]:
        """The items; tqdm's own loop counts them only when it draws."""
        try:
            for item in self.iterable:
                yield item
                self.update()
        finally:
            self.close()

    def update(self, n: float | None = 1) -> bool | None:
        """Count `n` more."""
        drawn = super().update(n)
        self._tell()
        return drawn

    def close(self) -> None:
        """End the bar."""
        super().close()
        status.ended(self)

    def _tell(self) -> None:
        if not self.disable:
            status.note(self, self._progress)

    def _progress(self) -> dict[str, Any]:
        has = self.format_dict
        seconds, done, total = has["elapsed"], has["n"], has["total"]
        rate = (done - has["initial"]) / seconds if seconds else 0.0
        left = (total - done) / rate if total and rate else None
        counts = {"done": done, "total": total, "unit": has["unit"], "rate": rate, "seconds_left": left}
        return {"doing": has["prefix"], "note": has["postfix"], **counts}


class _Lines(_Bar):
    """A bar whose every state is a line of its own."""

    monitor_interval = 0  # tqdm's own thread would write every 10 seconds

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """A function that writes a state, once; tqdm clears a bar by an empty one, which has no line."""
        last = ""

        def write(state: str) -> None:
            nonlocal last
            if state.strip() and state != last:
                file.write(f"{state}\n")
                file.flush()
            last = state

        return write

    def close(self) -> None:
        """Write the last state, if any was written before, and nothing to clear the line."""
        if not self.disable and self.last_print_t >= self.start_t + (self.delay or 0):
            self.display()
        self.delay = math.inf  # tqdm takes the bar for one that was never drawn
        super().close()
