"""The C library's allocator, told to keep what a training frees."""

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""Parameters of glibc's mallopt(3)."""
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep freed memory for the next step instead of handing it back to the kernel, where the C library is glibc.

    A step on a CPU frees gigabytes of activations and asks for as much again. glibc maps each large array anew, and the
    kernel fills every page with zeros: a quarter of the time of a small network (benchmarks/README.md). So it is with
    the frames of a clip, in the processes that a training starts to load them: a twentieth of their time. Each process
    keeps the memory of its largest step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST), (TOP_PAD, 1 << 26)):
            mallopt(parameter, value)
