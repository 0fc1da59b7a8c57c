"""Files that a folder of clips may hold and that are no videos: made in a folder, each with what is said of it."""

import os
import stat
from pathlib import Path

NOT_UTF8 = os.fsdecode(b"gr\xfcn.mp4")
FILES = {
    "gone.mp4": ("missing", "a link to nowhere.mp4, which is not there"),
    "circle.mp4": ("unreadable", "a link that leads in a circle"),
    "pipe.mp4": ("unreadable", "a pipe, and no file"),
    "socket.mp4": ("unreadable", "a socket, and no file"),
    "device.mp4": ("unreadable", "a device, and no file"),
}
"""Name -> reason and words in broken.tsv."""
NAMES = {
    NOT_UTF8: "gr%FCn.mp4",
    "new\nline.mp4": "new%0Aline.mp4",
    "back\\slash.mp4": "back%5Cslash.mp4",
}
"""Names that no id can have -> the id."""
ABSENT = ("missing", "no such file: {}; % stands for what no id may have, such as bytes that are no UTF-8")


def make(folder: Path) -> None:
    """Write all of `FILES`, and a copy of nothing under each of `NAMES`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "circle.mp4").symlink_to("circle.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.mp4")
    os.mknod(folder / "socket.mp4", stat.S_IFSOCK | 0o600)
    for name in NAMES:
        (folder / name).write_bytes(b"no video")
