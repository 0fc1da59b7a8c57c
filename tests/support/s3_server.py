"""A local S3 server (moto) with a bucket of videos, and what a stage needs to reach it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

from pipeline.core import remote_folder

URL = "s3://corpus/some/videos"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAFORTESTS", "AWS_SECRET_ACCESS_KEY": "known-to-nobody-but-the-environment"}


@dataclass(frozen=True)
class Reach:
    """What a process is given so that it reaches the server: a `first` of `stage_process.Running`."""

    variables: Mapping[str, str]

    def __call__(self) -> None:
        os.environ.update(self.variables)
        remote_folder.WAITS = (0.1, 0.1)


class Server:
    """A server that may be stopped."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.variables = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
        self.reach = Reach(self.variables)
        moto_api_backend.reset()  # what a server of another test was given

    def files(self) -> fsspec.AbstractFileSystem:
        """Its files, as a user of the keys sees them."""
        key, secret, endpoint, _ = self.variables.values()
        return fsspec.filesystem("s3", key=key, secret=secret, endpoint_url=endpoint, skip_instance_cache=True)

    def fill(self, source: Path) -> None:
        """Put all files below a folder, and some beside it, into the bucket."""
        files = self.files()
        files.mkdir("corpus")
        for file in sorted(source.rglob("*")):
            if file.is_file():
                files.pipe_file(f"{URL}/{file.relative_to(source).as_posix()}", file.read_bytes())
        files.pipe_file("s3://corpus/some/videos of others/h264.mp4", b"x")

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()


@contextmanager
def serving(source: Path) -> Iterator[Server]:
    """A server with the files below a folder, until the context ends."""
    server = Server()
    try:
        server.fill(source)
        yield server
    finally:
        server.stop()
