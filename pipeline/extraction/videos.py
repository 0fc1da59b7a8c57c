"""Where FFmpeg finds the videos: on disk; or fetched from a remote folder to the scratch folder, a few at a time."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Protocol

from pipeline.core import fingerprints, video_files
from pipeline.core.errors import UserError
from pipeline.core.fingerprints import FAULTS
from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.video_files import MISSING
from pipeline.extraction.outcome import NoFrames

GIGABYTE = 10**9


class Videos(Protocol):
    """The videos of a corpus, to be had by several threads."""

    threads: int
    """Number of threads that take videos side by side, so that as many as there are workers extract."""

    def at_hand(self, row: Mapping[str, str], copy: Path) -> AbstractContextManager[Path]:
        """The file of a row of the manifest; it may be `copy`, which is gone when the context ends."""


class OnDisk:
    """Videos in a folder of this machine."""

    def __init__(self, root: Path, workers: int) -> None:
        self.root, self.threads = root, workers

    def at_hand(self, row: Mapping[str, str], copy: Path) -> AbstractContextManager[Path]:  # noqa: ARG002
        """The file itself."""
        return nullcontext(self.root / row["path"])


class Fetched:
    """Copies of remote videos: some are fetched while others are extracted, and each is deleted then.

    Args:
        root: where they are fetched from.
        workers: number of videos that are extracted side by side.
        most: bytes of all copies that are on disk at any moment.
    """

    def __init__(self, root: RemoteFolder, workers: int, most: int) -> None:
        self.root, self.threads = root, 2 * workers
        self._most, self._taken = most, 0
        self._extracting, self._change = threading.Semaphore(workers), threading.Condition()

    @contextmanager
    def at_hand(self, row: Mapping[str, str], copy: Path) -> Iterator[Path]:
        """The copy, when it is all there, is the file that the manifest knows, and a worker is free.

        Raises:
            NoFrames: there is no such file.
            UserError: it cannot be fetched, or another file has its name now.
        """
        if row["fingerprint"] in FAULTS:
            raise _missing(row)
        size = fingerprints.size_of(row["fingerprint"])
        with self._room(size):
            try:
                self._fetch(row, size, copy)
                with self._extracting:
                    yield copy
            finally:
                copy.unlink(missing_ok=True)

    def _fetch(self, row: Mapping[str, str], size: int, copy: Path) -> None:
        try:
            self.root.fetch(row["path"], size, copy)
        except FileNotFoundError as error:
            raise _missing(row) from error
        if fingerprints.of_file(copy) != row["fingerprint"]:
            raise UserError(
                f"{self.root}/{row['path']} was replaced after stage `index` had looked at it. `dvc repro` looks again."
            )

    @contextmanager
    def _room(self, size: int) -> Iterator[None]:
        """Wait until there is room for so many bytes, and take it until the context ends."""
        with self._change:
            self._change.wait_for(lambda: self._taken + size <= self._most)
            self._taken += size
        try:
            yield
        finally:
            with self._change:
                self._taken -= size
                self._change.notify_all()


def of(root: Path | RemoteFolder, workers: int, scratch_gb: float) -> Videos:
    """The videos of a corpus that has passed `check`."""
    if isinstance(root, RemoteFolder):
        return Fetched(root, workers, round(scratch_gb * GIGABYTE))
    return OnDisk(root, workers)


def check(root: Path | RemoteFolder, prints: Iterable[str], paths: Iterable[str], scratch_gb: float) -> None:
    """Refuse a corpus that is not there, and one with a video that may not be fetched.

    Args:
        root: where the videos lie.
        prints: the fingerprint of each.
        paths: the path of each inside the root.
        scratch_gb: gigabytes of the fetched videos that may be on disk at a time.

    Raises:
        UserError: it is such a one.
    """
    if not root.is_dir():
        raise UserError(f"The corpus' root {root} is no folder. Set dataset.root in conf/dataset/, `make params`.")
    if not isinstance(root, RemoteFolder):
        return
    for print_, path in zip(prints, paths, strict=True):
        if print_ not in FAULTS and (size := fingerprints.size_of(print_)) > round(scratch_gb * GIGABYTE):
            raise UserError(
                f"{root}/{path} has {size / GIGABYTE:.3g} GB, and machine.scratch_gb lets {scratch_gb:g} be fetched at "
                "a time. Raise it in conf/config.yaml (then `pipeline params`), or drop the video from the annotations."
            )


def _missing(row: Mapping[str, str]) -> NoFrames:
    return NoFrames(MISSING, video_files.absent(PurePosixPath(row["path"]).name), again=True)
