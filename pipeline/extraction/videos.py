"""Where FFmpeg finds the videos: on disk; or fetched from a remote folder to the scratch folder, a few at a time."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pipeline.core import fingerprints, video_files
from pipeline.core.errors import UserError
from pipeline.core.fingerprints import FAULTS
from pipeline.core.machine import Machine
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
        self._workers, self._most, self._taken = workers, most, 0
        self._extracting, self._change = threading.Semaphore(workers), threading.Condition()

    def __reduce__(self) -> tuple[Any, ...]:
        return Fetched, (self.root, self._workers, self._most)

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


def videos_of(root: Path | RemoteFolder, rows: Iterable[Mapping[str, str]], machine: Machine) -> Videos:
    """The videos of a corpus, which are the `rows` of its manifest.

    Raises:
        UserError: the root is no folder, or cannot be reached; or a video alone has more bytes than may be fetched.
    """
    if not root.is_dir():
        raise UserError(f"The corpus' root {root} is no folder. Set dataset.root in conf/dataset/, `make params`.")
    if not isinstance(root, RemoteFolder):
        return OnDisk(root, machine.processes)
    most = round(machine.scratch_gb * GIGABYTE)
    for row in rows:
        if row["fingerprint"] not in FAULTS and (size := fingerprints.size_of(row["fingerprint"])) > most:
            raise UserError(
                f"{root}/{row['path']} has {size / GIGABYTE:.3g} GB, and machine.scratch_gb lets "
                f"{machine.scratch_gb:g} be fetched at a time. Raise it in conf/config.yaml (then `pipeline params`), "
                "or drop the video from the annotations."
            )
    return Fetched(root, machine.processes, most)


def _missing(row: Mapping[str, str]) -> NoFrames:
    return NoFrames(MISSING, video_files.absent(PurePosixPath(row["path"]).name), again=True)
