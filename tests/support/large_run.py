"""A finished run as large as the page is made for: 313 classes, 14 members, 10,000 videos, 31 views of each."""

import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np

from pipeline.report.inputs import InputPaths
from tests.support import finished

CLASSES, MEMBERS, VIDEOS, CLIPS = 313, 14, 10_000, 5


def write(folder: Path) -> InputPaths:
    """Write the run, 2.5 GB, into `folder`."""
    return finished.run(
        folder,
        classes=[f"some action, number {number:03d}" for number in range(CLASSES)],
        members=[f"network_{number:02d}_r50_16f" for number in range(MEMBERS)],
        videos=-(-VIDEOS // 3),
        clips=CLIPS,
        frame=_picture(),
        resamples=100,
    )


def page_cost(sources: InputPaths, out: Path) -> tuple[float, float]:
    """Write the page in a process of its own: its CPU seconds, and the most GB of memory that it took."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_write, (sources, out))


def _write(sources: InputPaths, out: Path) -> tuple[float, float]:
    from tests.support.html_page import page

    page(sources, out)
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _picture() -> np.ndarray:
    """A picture about as large as a real one when it is a JPEG, uint8 (120, 160, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 56, size=(30, 40, 3), dtype=np.uint8)
    return np.asarray(np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1))
