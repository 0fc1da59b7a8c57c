"""`pipeline watch`: what runs, wherever it was started."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli import watch
from pipeline.cli.main import main
from pipeline.core import status

ROOT = Path(__file__).parents[2]
STAGE = '''"""Stage `train`."""
import sys, time
sys.path.insert(0, sys.argv.pop(1))
from pathlib import Path
from pipeline.core.progress_bar import progress_bar
from stages.command import run

def main(model: str, out: Path) -> None:
    for _ in progress_bar(range(6000), desc="epoch 1/3", unit="step"):
        time.sleep(0.01)

run(main)
'''
SEEN = dict(
    stage="train", model="tsn", out="data/models/tsn", experiment="cagey-rits", node="n1", started=0.0, updated=95.0,
    doing="epoch 3/20  loss 1.2", note="lr=0.01", done=30, total=120, unit="step", rate=2.5, seconds_left=36.0,
)  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "params.yaml").write_text("machine: {scratch: work}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *arguments: str) -> str:
    assert main(["watch", *arguments]) == 0
    return capsys.readouterr().out


def text(*running: dict, gpus: tuple[dict, ...] = (), now: float = 100.0) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(watch.shown(list(running), list(gpus), now))
    return capture.get()


def test_a_stage_says_how_far_how_fast_and_how_long_still():
    assert watch.row(SEEN, 100.0) == (
        "train data/models/tsn cagey-rits on n1", "epoch 3/20  loss 1.2  lr=0.01", "30 of 120 (25%)", "2.5 steps/s",
        "36 s", "2 min",
    )  # fmt: skip


def test_a_stage_without_a_bar_and_one_that_is_silent():
    bare = {"stage": "ensemble", "node": "n1", "started": 40.0, "updated": 40.0, "experiment": None}
    assert watch.row(bare, 50.0) == ("ensemble on n1", "", "", "", "", "10 s")
    assert "last heard of 50 s ago" in watch.row(bare, 90.0)[1]


def test_names_are_printed_as_they_are_and_no_line_is_wider_than_the_terminal():
    shown = text(SEEN | {"experiment": "[red]odd[/red]" + 50 * "x"})
    assert "[red]odd[/red]" in shown.replace("\n", "").replace(" ", "")
    assert max(map(len, shown.splitlines())) <= 100


def test_a_gpu_is_a_row():
    gpu = {"name": "NVIDIA H200", "busy_percent": 97, "used_gb": 12.34, "total_gb": 150.0}
    last = text(SEEN, gpus=(gpu,)).splitlines()[-1]
    assert " ".join(last.split()) == "GPU 0 NVIDIA H200 97% busy 12.3 of 150 GB"


def test_a_gpu_that_does_not_say_how_busy_it_is_has_its_row():
    gpu = {"name": "NVIDIA H200", "busy_percent": watch.busy(None), "used_gb": 12.34, "total_gb": 150.0}
    last = text(SEEN, gpus=(gpu,)).splitlines()[-1]
    assert " ".join(last.split()) == "GPU 0 NVIDIA H200 12.3 of 150 GB"


def test_where_nothing_runs_it_says_so(project, capsys):
    assert "No stage is running." in said(capsys, "--once")
    assert json.loads(said(capsys, "--json"))["stages"] == []


@pytest.mark.parametrize("copied_to", ["tmpabc", "standalone/tmpabc"])
def test_an_experiment_that_runs_in_a_copy_is_seen_from_the_project(project, capsys, copied_to):
    copy = project / watch.EXPERIMENTS / copied_to
    with status.reported(copy / "work", {"stage": "pack", "experiment": "idled-cost"}):
        (seen,) = json.loads(said(capsys, "--json"))["stages"]
        assert "pack idled-cost on" in said(capsys, "--once")
    assert (seen["stage"], seen["experiment"]) == ("pack", "idled-cost")


@pytest.mark.slow
def test_a_stage_is_seen_while_it_runs_and_not_once_it_is_killed(project, capsys):
    (project / "train.py").write_text(STAGE)
    command = [sys.executable, "train.py", str(ROOT), "tsn", "data/models/tsn"]
    environment = {**os.environ, "DVC_EXP_NAME": "cagey-rits"}
    with subprocess.Popen(command, cwd=project, env=environment) as process:
        until = time.monotonic() + 60
        found: list[dict] = []
        while not (found and found[0].get("done", 0) > 1) and time.monotonic() < until:
            time.sleep(0.1)
            found = json.loads(said(capsys, "--json"))["stages"]
        (one,) = found
        assert (one["process"], one["model"], one["experiment"]) == (process.pid, "tsn", "cagey-rits")
        assert "epoch 1/3" in said(capsys, "--once")
        process.kill()
        process.wait()
        assert json.loads(said(capsys, "--json"))["stages"] == []
