"""`pipeline serve` as a process: what it says, what it answers, and what it leaves when it ends."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline.core.errors import UserError
from tests.export.conftest import project  # noqa: F401 - a fixture
from tests.support.command import call


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"--constraint constraints.txt --editable '\.\[serve\]'"):
        call("serve", "--model", "net")


def test_only_this_machine_is_listened_to_unless_told():
    from pipeline.cli.main import parser

    assert parser().parse_args(["serve", "--model", "net"]).host == "127.0.0.1"


@contextmanager
def running(folder, *options):
    """(process, connection) of a server of the project in `folder`, once it listens."""
    command = [sys.executable, "-m", "pipeline", "serve", "--model", "net", "--port", "0", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    try:
        said = process.stdout.readline()
        found = re.fullmatch(r"net answers at http://127\.0\.0\.1:(\d+); Ctrl-C ends it\.\n", said)
        assert found, said
        yield process, http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
    finally:
        process.kill()
        process.wait()


def files(folder: Path) -> list[Path]:
    """What lies in the scratch folder of a project, uploads and frames."""
    return [path for path in (folder / "work").rglob("*") if path.is_file() or path.name.startswith(".partial")]


def until(said) -> None:
    """Wait for what must come true within a minute."""
    end = time.monotonic() + 60
    while not said():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)])
def test_the_command_answers_until_it_is_interrupted_and_leaves_nothing(project, clips, ending):  # noqa: F811 - the fixture
    with running(project, "--most-megabytes", "1") as (process, connection):
        watched = psutil.Process(process.pid)
        connection.request("POST", "/predict?name=it", (clips / "short.mp4").read_bytes())
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert (answer.status, told["video"], len(told["scores"])) == (200, "it", 3)
        before = watched.num_fds()

        connection.request("POST", "/predict", bytes(30_000_000))  # is sent whole before the answer is read
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (413, "too_large")

        with socket.create_connection((connection.host, connection.port)) as cut:
            cut.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\nthe beginning")
            until(lambda: files(project))
        until(lambda: not files(project))
        connection.close()
        until(lambda: watched.num_fds() < before)  # without the connection
        assert watched.children() == []

        process.send_signal(ending)
        assert process.wait(60) == 130
        assert not list((project / "work/serve").iterdir())


@pytest.mark.nightly
def test_what_a_killed_server_left_is_cleared_by_the_next_on_its_port(project, clips):  # noqa: F811 - the fixture
    with (
        running(project) as (process, connection),
        socket.create_connection((connection.host, connection.port)) as cut,
    ):
        cut.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\nthe beginning")
        until(lambda: files(project))
        process.kill()
        process.wait()
    assert files(project)
    with running(project, "--port", str(connection.port)):
        assert not files(project)
