"""Arrays in files .npy, of this program or of another."""

from pathlib import Path

import numpy as np


def read(path: Path) -> np.ndarray:
    """The array in a file, of which nothing is read until it is used.

    Raises:
        ValueError: there is no such file, it holds no array of numbers or text, or its header is damaged or hostile.
    """
    try:
        found = np.load(path, mmap_mode="r")
    except Exception as error:  # NumPy reads the header as Python, whose tokenizer and parser have errors of their own
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, np.ndarray):
        raise ValueError("an archive, and no array")  # noqa: TRY004 - it is a wrong value of a file
    return found
