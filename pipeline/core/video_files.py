"""The files of a corpus: which are videos by their names, and what keeps one from being read."""

import errno
import logging
import os
import stat
from collections import Counter
from pathlib import Path

from pipeline.core.tsv import one_line

log = logging.getLogger(__name__)
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp", ".ogv", ".ts", ".mts"),
    *(".m2ts", ".vob", ".asf", ".y4m", ".mpg4", ".3g2", ".qt", ".divx", ".f4v", ".mpe", ".m2v", ".mxf", ".insv"),
    *(".lrv", ".ogm", ".rm", ".rmvb", ".dv", ".mod", ".tod", ".gif"),
)
"""What the name of a video ends with, in small letters."""
MISSING, UNREADABLE, EMPTY = "missing", "unreadable", "empty"
"""Reasons of broken.tsv that need no decoder."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def inside(folder: Path, others: Counter[str] | None = None) -> list[Path]:
    """What bears the name of a video in a folder and the folders below it, sorted by path; hidden names do not count.

    `others` counts the files with other names, by what they end with.

    What is no file (a link to nothing, a pipe) is listed as well, so that it comes to be known as broken. Links to
    folders are followed, but no folder is entered twice, so none leads in a circle. A folder that cannot be listed is
    said to be left out.
    """
    found: list[Path] = []
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    for start in waiting:  # links come after all that is reached without one
        for place, folders, names in os.walk(start, onerror=_left_out):
            if not _is_new(place, entered):
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            waiting += [Path(place, name) for name in folders if Path(place, name).is_symlink()]
            seen = [name for name in names if not name.startswith(".")]
            found += [Path(place, name) for name in seen if name.lower().endswith(SUFFIXES)]
            if others is not None:
                others.update(Path(name).suffix for name in seen if not name.lower().endswith(SUFFIXES))
    return sorted(found)


def say_left_out(folder: object, others: Counter[str]) -> None:
    """Say in a line which files of a folder are taken for no videos, where there are any."""
    if not others:
        return
    counted = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    told = ", ".join(f"{count:,} {ending or 'without one'}" for ending, count in counted)
    log.warning("%s: left out, as by their endings they are no videos: %s", folder, one_line(told))


def fault(file: Path) -> tuple[str, str] | None:
    """What keeps a file from being a video, as far as that is seen without a decoder; None where nothing does.

    It is a reason of broken.tsv (`MISSING`, `UNREADABLE`, `EMPTY`) and words for people. It never waits, as opening a
    pipe would.

    Raises:
        OSError: the machine has no open files or memory left, which says nothing of this file.
    """
    try:
        status = file.stat()
        if stat.S_ISREG(status.st_mode):
            os.close(os.open(file, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return refused(file, error)
    return unfit(status)


def unfit(status: os.stat_result) -> tuple[str, str] | None:
    """The same, as far as the status of a file tells it."""
    if not stat.S_ISREG(status.st_mode):
        return UNREADABLE, f"{_KINDS.get(stat.S_IFMT(status.st_mode), 'a device')}, and no file"
    return None if status.st_size else (EMPTY, "the file has 0 bytes")


def refused(file: Path, error: OSError) -> tuple[str, str]:
    """Reason and words for the error that opening or reading a file gave.

    Raises:
        OSError: that error, where it says nothing of this file, but that the machine has no open files or memory left.
    """
    if error.errno in _LACKING:
        raise error
    if error.errno in _GONE:
        return MISSING, _absence(file)
    return UNREADABLE, _refusal(error)


def absent(name: str) -> str:
    """Words for a file that is not there."""
    escaped = "; % stands for what no id may have, such as bytes that are no UTF-8: rename the file"
    return f"no such file: {name}{escaped if '%' in name else ''}"


def _absence(file: Path) -> str:
    if file.is_symlink():
        target = os.fsencode(file.readlink()).decode("utf-8", "backslashreplace")
        return one_line(f"a link to {target}, which is not there")
    return absent(file.name)


def _refusal(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link that leads in a circle"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission to read it (chmod u+r, and u+x for its folders)"
    return f"it cannot be opened: {error.strerror}"


def _is_new(folder: str, entered: set[tuple[int, int]]) -> bool:
    """Whether a folder has not been entered, by whatever name; now it has."""
    try:
        status = Path(folder).stat()
    except OSError as error:
        _left_out(error)
        return False
    known = (status.st_dev, status.st_ino) in entered
    if known:
        log.warning("%s: left out, as a link to a folder that is looked at already", _shown(folder))
    entered.add((status.st_dev, status.st_ino))
    return not known


def _left_out(error: OSError) -> None:
    log.warning("%s: left out with all that is in it: %s", _shown(error.filename), error.strerror)


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
