"""How long a loop lasts, and how much of that it waits for its data."""

import time
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


class Timer:
    """Seconds since it was made, until it is stopped."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.end: float | None = None
        self.waited = 0.0

    def stop(self) -> None:
        """Keep the time so far."""
        self.end = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds, never 0."""
        return max((self.end or time.monotonic()) - self.start, 1e-9)

    @property
    def waiting(self) -> float:
        """Share of the time so far that was spent waiting, 0..1."""
        return self.waited / self.elapsed

    def waits(self, items: Iterable[T]) -> Generator[T, None, None]:
        """The items; the time until each comes counts as waiting."""
        iterator = iter(items)
        while True:
            before = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.waited += time.monotonic() - before
            yield item


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 05 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
