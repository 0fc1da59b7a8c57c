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


def rate(count: float, seconds: float, unit: str) -> str:
    """Speed as people say it: 120 clips/s, 2.5 clips/s, and below one a second 4.0 s/clip."""
    if count == 0:
        return f"no {unit}"
    if count < seconds:
        return f"{seconds / count:.1f} s/{unit}"
    return f"{count / seconds:.{1 if count < 10 * seconds else 0}f} {unit}s/s"


def whole_epoch(seconds: float, training: float, first: int, steps: int) -> float:
    """Seconds that an epoch takes from its first step, of which a resumed run took the steps from `first` on.

    Args:
        seconds: what it took, with the validation.
        training: the part of them that the steps took.
        first: the step that it went on at, 0 .. `steps`.
        steps: of a whole epoch.

    Returns:
        0 where no step was left to take, which says nothing of others.
    """
    return seconds + training * first / (steps - first) if first < steps else 0.0
