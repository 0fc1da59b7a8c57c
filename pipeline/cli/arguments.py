"""What the arguments of several commands share."""

import argparse
from pathlib import Path

CONF = Path("conf")
"""The folder of settings."""
DATA = Path("data")
"""The folder of results."""
CLASSES = 313
"""The number of classes that models are built for where nothing else is said: that of the report's corpus."""


def positive(text: str) -> float:
    """A finite number above 0, for `type=` of an argument.

    Raises:
        ArgumentTypeError: it is another text.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def at_least_one(text: str) -> int:
    """A whole number of 1 or more, for `type=` of an argument.

    Raises:
        ArgumentTypeError: it is another text.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
