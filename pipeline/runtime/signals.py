"""A polite end: SIGTERM and SIGINT ask a long job to save its state and stop at its next step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """A signal asked for an end; all work so far is saved. Stages print the message and end with 128 + the signal."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + number


class Request:
    """Whether an end was asked for, and by which signal."""

    number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; a second one ends the process the usual way."""
        del frame
        self.number = number
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def listen() -> Iterator[Request]:
    """Within the block, the first SIGTERM or SIGINT only sets the request's number."""
    request = Request()
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
