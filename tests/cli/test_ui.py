import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.rows import many_videos
from pipeline.cli import listening
from pipeline.core.errors import UserError
from tests.support.command import call

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"--constraint constraints.txt --editable '\.\[ui\]'"):
        call("ui")


def test_a_port_that_is_taken_is_a_message():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} of 127.0.0.1 cannot be listened at"):
            listening.listening("127.0.0.1", port, "ui")


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -1), ("192.0.2.1", 0), ("no.invalid", 0)]
)
def test_no_port_and_no_address_of_this_machine_are_a_message(host, port):
    with pytest.raises(
        UserError, match=rf"Port {port} of {host} .* --port \(0 finds one\), .* of this machine with --host"
    ):
        listening.listening(host, port, "ui")


def test_names_are_let_in_only_where_others_can_ask():
    assert listening.names("127.0.0.1") == listening.names("localhost") == listening.names("::1") == ()
    assert listening.names("0.0.0.0") == (socket.gethostname(),)  # noqa: S104 - nothing listens
    assert listening.names("box.example") == ("box.example", socket.gethostname())


def test_only_this_machine_is_listened_to_unless_told():
    from pipeline.cli.main import parser

    assert parser().parse_args(["ui"]).host == "127.0.0.1"


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    many_videos.write(tmp_path / "data", videos=40, classes=3)
    (tmp_path / "params.yaml").write_text("dataset: {root: videos}\nmachine: {scratch: work}\n")
    command = [sys.executable, "-m", "pipeline", "ui", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    try:
        assert process.stdout.readline() == "Reading the run ...\n"
        said = process.stdout.readline()
        assert said.startswith("40 videos at http://127.0.0.1:")
        with urllib.request.urlopen(said.split()[3].rstrip(";")) as answer:  # noqa: S310 - http, as was just read
            assert b"<h1>40 videos</h1>" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)
    finally:
        process.kill()
