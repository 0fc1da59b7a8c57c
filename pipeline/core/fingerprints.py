"""Fingerprints of video files: how a replaced video is noticed, whatever the size of the corpus.

Stage `index` looks at every file each time that it runs. A file is read again only where its size, or the time of its
last change as the file system keeps it (ctime, which no program can set), is another than when it was read last. Of a
remote file, all that the listing says of it (its ETag) takes the place of that time. Its fingerprint is that of a copy
on disk.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from pipeline.core import remote_folder, tsv, video_files
from pipeline.core.errors import UserError
from pipeline.core.machine import parallel
from pipeline.core.manifest import Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.video_files import MISSING, UNREADABLE

log = logging.getLogger(__name__)
FAULTS = (MISSING, UNREADABLE)
"""What stands for the fingerprint of a file that cannot be read."""
MEMORY = "fingerprints.tsv"
"""Name of the file in the scratch folder that says what was read last; rename it where `of_file` changes."""
COLUMNS = ("path", "size", "changed", "fingerprint")
SETTLED = 3.0
"""Seconds after which a second change of a file cannot bear the time of the first."""
AT_ONCE = 1000
"""Number of files that a thread asks the system about in one go."""
NAMED = 5
"""Number of files that a warning names."""
BLOCK = 1 << 16
"""Number of bytes at each end of a file that are hashed."""


def of_file(path: Path) -> str:
    """Size of a file and a hash of its first and last `BLOCK` bytes: quick at any size, and re-encoding changes it.

    One of `FAULTS` where the file cannot be read.
    """
    fault = video_files.fault(path)
    if fault and fault[0] in FAULTS:
        return fault[0]
    try:
        size = path.stat().st_size
        with path.open("rb") as file:

            def read(start: int, stop: int) -> bytes:
                file.seek(start)
                return file.read(stop - start)

            return _of(size, read)
    except OSError as error:  # it went away just now, or its disk does not give it
        return (video_files.fault(path) or video_files.refused(path, error))[0]


def of_remote(root: RemoteFolder, path: str) -> str:
    """The same of a remote file, as its folder was listed; `MISSING` where it is not there.

    Raises:
        UserError: it cannot be read, which says nothing of the file.
    """
    if path not in root.files:
        return MISSING
    try:
        return _of(root.files[path].size, lambda start, stop: root.read(path, start, stop))
    except FileNotFoundError:  # it went away just now
        return MISSING


def size_of(fingerprint: str) -> int:
    """The size in bytes of a file that is there, which its fingerprint begins with."""
    return int(fingerprint.partition("-")[0])


def _of(size: int, read: Callable[[int, int], bytes]) -> str:
    digest = hashlib.blake2b(read(0, min(BLOCK, size)) if size else b"", digest_size=12)
    if size > BLOCK:
        digest.update(read(max(BLOCK, size - BLOCK), size))
    return f"{size}-{digest.hexdigest()}"


def look(corpus: Manifest, root: Path | RemoteFolder, scratch: Path, workers: int) -> Manifest:
    """The manifest with the fingerprint of every file under `root`; says which cannot be read.

    Args:
        scratch: folder for what is remembered of the files until the next time.
        workers: number of files that are looked at side by side.
    """
    paths: list[str] = corpus.table["path"].tolist()
    began = time.time()
    sizes, changed = _listed(root, paths) if isinstance(root, RemoteFolder) else _statuses(root, paths, workers)
    memory = _remembered(scratch / MEMORY)
    place = pd.Index(memory["path"]).get_indexer(paths)
    same = (place >= 0) & (memory["size"].to_numpy()[place] == sizes) & (memory["changed"].to_numpy()[place] == changed)
    found = np.where(same, memory["fingerprint"].to_numpy(dtype=object)[place], "")
    unread = np.flatnonzero(~same)
    at_once = max(workers, remote_folder.AT_ONCE) if isinstance(root, RemoteFolder) else workers
    read = parallel(lambda number: _fingerprint(root, paths[number]), unread, at_once)
    with progress_bar(read, total=len(unread), desc="fingerprints", unit="file") as bar:
        found[unread] = list(bar)
    _tell(root, np.array(paths, dtype=object), found)
    if len(unread):
        now = pd.DataFrame(dict(zip(COLUMNS, (paths, sizes, changed, found), strict=True)))
        tsv.write(scratch / MEMORY, now[(sizes >= 0) & (changed < (began - SETTLED) * 1e9)])
    return replace(corpus, table=corpus.table.assign(fingerprint=found))


def _statuses(root: Path, paths: Sequence[str], workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Size in bytes and time of the last change in nanoseconds of each file, int64 (V,) each; -1 where it has none."""

    def some(start: int) -> list[tuple[int, int]]:
        return [_status(f"{root}{os.sep}{path}") for path in paths[start : start + AT_ONCE]]

    parts = parallel(some, range(0, len(paths), AT_ONCE), workers)
    sizes, changed = np.array([status for part in parts for status in part], dtype=np.int64).T
    return sizes, changed


def _fingerprint(root: Path | RemoteFolder, path: str) -> str:
    return of_remote(root, path) if isinstance(root, RemoteFolder) else of_file(root / path)


def _listed(root: RemoteFolder, paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Size and version of each remote file, as `_statuses` has size and time."""
    found = [root.files.get(path, (-1, -1)) for path in paths]
    sizes, versions = np.array(found, dtype=np.int64).T
    return sizes, versions


def _status(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path takes as long to make as this to answer
    except OSError:
        return -1, -1
    return status.st_size, status.st_ctime_ns


def _remembered(memory: Path) -> pd.DataFrame:
    """What was read last: a row a file; at least one, which is no file's, so that there is one to point at."""
    nothing = pd.DataFrame([("", -1, -1, "")], columns=list(COLUMNS))
    if not memory.is_file():
        return nothing
    try:
        known = tsv.read(memory, COLUMNS, "index", numbers=("size", "changed"))
    except UserError:
        log.info("%s is damaged: every file is read again", memory)
        return nothing
    return pd.concat([nothing, known.drop_duplicates("path")], ignore_index=True)


def _tell(root: Path | RemoteFolder, paths: np.ndarray, found: np.ndarray) -> None:
    """Say which files cannot be read; they become broken videos."""
    bad = paths[np.isin(found, FAULTS)]
    if len(bad):
        named = "; ".join(f"{path} ({_words(root, path)})" for path in bad[:NAMED])
        more = f"; and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        asked = ". Is dataset.root right?" if 2 * len(bad) > len(paths) else ""
        text = "%d of %d files are missing in %s, or cannot be read, and count as broken: %s%s%s"
        log.warning(text, len(bad), len(paths), root, named, more, asked)


def _words(root: Path | RemoteFolder, path: str) -> str:
    if isinstance(root, RemoteFolder):
        return video_files.absent(PurePosixPath(path).name)
    fault = video_files.fault(root / path)
    return fault[1] if fault else "no longer so"
