"""A folder of videos behind fsspec, such as s3://bucket/videos: listed, read in part, and fetched.

How a service is reached and who may read there is known to fsspec alone, from the environment, ~/.aws and its like, or
~/.config/fsspec: no setting here has a key, so none is written or logged. What a service does not give is the fault of
the network or of the rights, never of a video: it is asked for again, and then the work ends.
"""

import errno
import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from pipeline.core.errors import UserError
from pipeline.core.video_files import SUFFIXES

T = TypeVar("T")
WAITS = (1.0, 10.0)
"""Seconds before another try, where a service did not answer; many libraries try several times by themselves."""
AT_ONCE = 32
"""Number of files that are looked at side by side, as most of the time is waiting."""
INSTALL = "`pip install --constraint constraints.txt --editable '.[remote]'` brings what s3:// needs"
_SECRET = re.compile(r"://[^/@]*:(?!\d+/)[^@]*@|\?")
_OF_THIS_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


class Listed(NamedTuple):
    """A file as a listing has it."""

    size: int
    """In bytes."""
    version: int
    """A hash of all that the listing says (time, ETag, ...), below zero; another one where the file was replaced."""


@dataclass(frozen=True)
class RemoteFolder:
    """The folder of a URL; nothing is asked of the service before it is needed."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteFolder, (self.url,)  # another process lists for itself

    def require_package(self) -> None:
        """Refuse a URL for which nothing is installed; the service is not asked.

        Raises:
            UserError: it is such a one.
        """
        import fsspec  # noqa: PLC0415 - a quarter of a second, which only a remote corpus shall cost

        try:
            fsspec.get_filesystem_class(self.url.partition("://")[0])
        except (ImportError, ValueError) as error:
            raise UserError(f"{self.url}: {str(error).rstrip('.')}. {INSTALL}.") from error

    def opened(self) -> tuple[Any, str]:
        """The file system, and the folder's path in it.

        Raises:
            UserError: nothing that is installed reaches it, or it does not answer.
        """
        self.require_package()
        import fsspec  # noqa: PLC0415

        logging.getLogger("aiobotocore").setLevel(logging.WARNING)  # it says at each start where it found a key
        system, path = self._tried(self.url, lambda: fsspec.url_to_fs(self.url))
        return system, path.rstrip("/")

    def __truediv__(self, path: str) -> "RemoteFile":
        return RemoteFile(self, path)

    def is_dir(self) -> bool:
        """Whether there is such a folder, and something in it."""
        system, path = self.opened()
        return self._tried(self.url, lambda: bool(system.exists(path)))

    @cached_property
    def files(self) -> Mapping[str, Listed]:
        """All files by their path inside the folder, listed once."""
        system, path = self.opened()
        system.invalidate_cache()
        try:
            if _lists_at_once(system):
                found = self._tried(self.url, lambda: list(system.find(path, detail=True).values()))
            else:
                found = self._walked(system, path)
        except FileNotFoundError:
            return {}
        named = {facts["name"][len(path) :].lstrip("/"): facts for facts in found if facts.get("type") == "file"}
        return {name: Listed(int(facts["size"]), _version(facts)) for name, facts in named.items() if name}

    def _walked(self, system: Any, path: str) -> list[Any]:
        """What fsspec says of all below a folder, which is listed folder by folder; its own walk passes over errors."""
        found, folders = [], [path]
        for folder in folders:
            listed = self._tried(f"{self.url} ({folder})", partial(system.ls, folder, detail=True))
            folders += [facts["name"] for facts in listed if facts["type"] == "directory" and facts["name"] != folder]
            found += listed
        return found

    def videos(self, others: Counter[str] | None = None) -> list[PurePosixPath]:
        """What bears the name of a video, by `video_files.inside`'s rules; `others` counts the endings of the rest."""
        paths = [path for path in map(PurePosixPath, self.files) if not any(p.startswith(".") for p in path.parts)]
        if others is not None:
            others.update(path.suffix for path in paths if not path.name.lower().endswith(SUFFIXES))
        return sorted(path for path in paths if path.name.lower().endswith(SUFFIXES))

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes `start` to `stop` of a file, all of them.

        Raises:
            FileNotFoundError: there is no such file any more.
            UserError: the service does not give them.
        """
        system, folder = self.opened()

        def read() -> bytes:
            content: bytes = system.cat_file(f"{folder}/{path}", start=start, end=stop)
            _refuse_part(len(content), stop - start)
            return content

        return self._tried(f"{self.url}/{path}", read)

    def fetch(self, path: str, size: int, copy: Path) -> None:
        """Write a file of `size` bytes to `copy`, all of it.

        Raises:
            FileNotFoundError: there is no such file any more.
            UserError: the service does not give it, or gives another number of bytes.
        """
        system, folder = self.opened()

        def fetch() -> None:
            system.get_file(f"{folder}/{path}", str(copy))
            _refuse_part(copy.stat().st_size, size)

        self._tried(f"{self.url}/{path}", fetch)

    def _tried(self, what: str, ask: Callable[[], T]) -> T:
        """What the service answers, perhaps to a second or third try."""
        for wait in (*WAITS, None):
            try:
                return ask()
            except FileNotFoundError:
                raise
            except PermissionError as error:
                raise UserError(
                    f"{what} may not be read ({_words(error)}). Keys come from the environment, ~/.aws and its like, "
                    "or ~/.config/fsspec: mend them there, or the rights. The same command goes on."
                ) from error
            except Exception as error:  # each library has its own for a network
                if getattr(error, "errno", None) in _OF_THIS_MACHINE:
                    raise
                if wait is None:
                    raise UserError(
                        f"{what} did not come, {len(WAITS) + 1} times ({_words(error)}). That is no fault of the "
                        "video: look at the network and the service. The same command goes on."
                    ) from error
                time.sleep(wait)
        raise AssertionError


class RemoteFile(NamedTuple):
    """A file of a remote folder."""

    folder: RemoteFolder
    path: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        return f"{self.folder}/{self.path}"

    def read(self, start: int, stop: int) -> bytes:
        """As `RemoteFolder.read`."""
        return self.folder.read(self.path, start, stop)


@cache
def corpus_root(text: str) -> Path | RemoteFolder:
    """The folder that `dataset.root` names, a path or a URL of fsspec; the same object again, which lists only once."""
    return RemoteFolder(text.rstrip("/")) if "://" in text else Path(text)


def has_secret(text: str) -> bool:
    """Whether a URL has a password or a token in it, which settings would carry into files."""
    return "://" in text and bool(_SECRET.search(text))


def _lists_at_once(system: Any) -> bool:
    """Whether a file system lists all below a folder in its own way, and not folder by folder in fsspec's."""
    from fsspec.asyn import AsyncFileSystem  # noqa: PLC0415
    from fsspec.spec import AbstractFileSystem  # noqa: PLC0415

    if isinstance(system, AsyncFileSystem):
        return type(system)._find is not AsyncFileSystem._find  # noqa: SLF001
    return type(system).find is not AbstractFileSystem.find


def _version(facts: Mapping[str, Any]) -> int:
    said = repr(sorted((name, str(value)) for name, value in facts.items()))
    return -2 - int.from_bytes(hashlib.blake2b(said.encode(), digest_size=7).digest(), "big")


def _refuse_part(size: int, wanted: int) -> None:
    if size != wanted:
        raise OSError(f"{size:,} bytes instead of {wanted:,}")


def _words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
