"""A video file that is open for FFmpeg, or the reason why it cannot be."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.extraction.outcome import NoFrames

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_GONE = (errno.ENOENT, errno.ENOTDIR)


@contextmanager
def opened(video: Path) -> Iterator[BinaryIO]:
    """The open file; what has its name later is another one.

    Raises:
        NoFrames: the file is missing, unreadable, empty, or no file: opening a pipe or a device never waits.
    """
    try:
        descriptor = os.open(video, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _GONE:
            gone = "a link to nothing" if video.is_symlink() else "no such file"
            raise NoFrames("missing", f"{gone}: {video.name}", again=True) from error
        raise NoFrames("unreadable", f"the file cannot be opened ({error.strerror})", again=True) from error
    found = os.fstat(descriptor)
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind or not found.st_size:
        os.close(descriptor)
        raise NoFrames("unreadable", f"{kind}, no file") if kind else NoFrames("empty", "the file has 0 bytes")
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, no path
        yield file
