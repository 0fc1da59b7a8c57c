"""A service that fails as it is told to: fsspec's files in memory, by the URL unsteady://..., asked as S3 is."""

from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.core.remote_folder import RemoteFolder


class Unsteady(MemoryFileSystem):
    """Each call takes the next of `errors`, if there is one, and raises it; "half" gives half of what is asked for."""

    protocol = "unsteady"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    errors: ClassVar[list[Exception | str]] = []
    calls: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("unsteady://", "memory://"))

    def _next(self, call: str) -> bool:
        self.calls.append(call)
        error = self.errors.pop(0) if self.errors else None
        if isinstance(error, Exception):
            raise error
        return error == "half"

    def find(self, path: str, **options: Any) -> Any:
        self._next("find")
        return super().find(path, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        half = self._next(f"read {path} {start} {end}")
        content = super().cat_file(path, start=start, end=end, **options)
        return content[: len(content) // 2] if half else content

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        half = self._next(f"fetch {rpath}")
        content = super().cat_file(rpath)
        Path(lpath).write_bytes(content[: len(content) // 2] if half else content)


fsspec.register_implementation("unsteady", Unsteady)


def folder(source: Path | None = None) -> RemoteFolder:
    """The only folder of the service, with the files below `source` and no others; it does as it should."""
    Unsteady.store.clear()
    Unsteady.pseudo_dirs[:] = [""]
    Unsteady.errors.clear()
    for file in sorted(source.rglob("*")) if source else ():
        if file.is_file():
            put(file.relative_to(source).as_posix(), file.read_bytes())
    Unsteady.calls.clear()
    return RemoteFolder("unsteady://bucket/videos")


def put(path: str, content: bytes) -> None:
    """Make or replace a file in the folder."""
    system, root = RemoteFolder("unsteady://bucket/videos").opened()
    system.pipe_file(f"{root}/{path}", content)
