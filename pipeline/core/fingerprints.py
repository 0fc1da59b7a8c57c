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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import remote_folder, spelling, tsv, video_files
from pipeline.core.errors import UserError
from pipeline.core.machine import parallel
from pipeline.core.manifest import Manifest
from pipeline.core.progress_bar import progress_bar
from pipeline.core.remote_folder import RemoteFile, RemoteFolder
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


def of_file(path: Path | RemoteFile) -> str:
    """Size of a file and a hash of its first and last `BLOCK` bytes: quick at any size, and re-encoding changes it.

    One of `FAULTS` where the file cannot be read.

    Raises:
        UserError: a remote file cannot be read, which says nothing of the file.
    """
    if isinstance(path, RemoteFile):
        listed = path.folder.files.get(path.path)
        return MISSING if listed is None else of_remote(path, listed.size)
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
        return refusal(path, error)


def of_remote(file: RemoteFile, size: int) -> str:
    """The same of a remote file of so many bytes, without a listing.

    Raises:
        UserError: it cannot be read, or is shorter.
    """
    try:
        return _of(size, file.read)
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


def refusal(path: Path, error: OSError) -> str:
    """Which of `FAULTS` a file has that gave an error when it was read."""
    return (video_files.fault(path) or video_files.refused(path, error))[0]


def look(corpus: Manifest, root: Path | RemoteFolder, scratch: Path, workers: int) -> Manifest:
    """The manifest with the fingerprint of every file under `root`; says which cannot be read.

    A file on disk whose name has another Unicode form than in the annotations is found, see spelling.py.

    Args:
        scratch: folder for what is remembered of the files until the next time.
        workers: number of files that are looked at side by side.
    """
    corpus = corpus if isinstance(root, RemoteFolder) else spelling.on_disk(corpus, root)
    numbers, names = pd.factorize(corpus.table["path"])  # segments share a file
    paths = names.to_numpy(dtype=object)
    found = recall(of_file, root, paths.tolist(), scratch / MEMORY, workers)
    _tell(root, paths, found)
    return replace(corpus, table=corpus.table.assign(fingerprint=found[numbers]))


def recall(
    of: Callable[[Any], str], root: Path | RemoteFolder, paths: Sequence[str], memory: Path, workers: int
) -> np.ndarray:
    """What `of` says of each file under `root`, str (V,); a file is read again only where it has changed.

    Args:
        of: a path, or a remote file -> what is read of it.
        memory: file that holds what was said until the next time.
    """
    if not paths:
        return np.empty(0, dtype=object)
    began = time.time()
    if isinstance(root, RemoteFolder):
        workers = max(workers, remote_folder.AT_ONCE)
    sizes, changed = _listed(root, paths) if isinstance(root, RemoteFolder) else _statuses(root, paths, workers)
    last = _remembered(memory)
    place = pd.Index(last["path"]).get_indexer(paths)
    same = (place >= 0) & (last["size"].to_numpy()[place] == sizes) & (last["changed"].to_numpy()[place] == changed)
    found = np.where(same, last["fingerprint"].to_numpy(dtype=object)[place], "")
    unread = np.flatnonzero(~same)
    read = parallel(of, (root / paths[number] for number in unread.tolist()), workers)
    try:
        with progress_bar(read, total=len(unread), desc=memory.stem, unit="file") as bar:
            for number, text in zip(unread.tolist(), bar, strict=True):
                found[number] = text
    finally:  # what was read is not read again, though the rest did not come
        if len(unread):
            now = pd.DataFrame(dict(zip(COLUMNS, (paths, sizes, changed, found), strict=True)))
            tsv.write(memory, now[(found != "") & (sizes >= 0) & (changed < (began - SETTLED) * 1e9)])
    return found


def _statuses(root: Path, paths: Sequence[str], workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Size in bytes and time of the last change in nanoseconds of each file, int64 (V,) each; -1 where it has none."""

    def some(start: int) -> list[tuple[int, int]]:
        return [_status(f"{root}{os.sep}{path}") for path in paths[start : start + AT_ONCE]]

    parts = parallel(some, range(0, len(paths), AT_ONCE), workers)
    sizes, changed = np.array([status for part in parts for status in part], dtype=np.int64).T
    return sizes, changed


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
        named = "; ".join(f"{path} ({_words(root / path)})" for path in bad[:NAMED])
        more = f"; and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        asked = ". Is dataset.root right?" if 2 * len(bad) > len(paths) else ""
        text = "%d of %d files are missing in %s, or cannot be read, and count as broken: %s%s%s"
        log.warning(text, len(bad), len(paths), root, named, more, asked)


def _words(path: Path | RemoteFile) -> str:
    if isinstance(path, RemoteFile):
        return video_files.absent(path.name)
    fault = video_files.fault(path)
    return fault[1] if fault else "no longer so"
