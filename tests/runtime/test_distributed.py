"""Training in two processes on a CPU (gloo) against one process, and what the processes share out."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.errors import UserError
from pipeline.runtime import distributed
from pipeline.runtime.checkpoint import FILE, Checkpoint
from tests.support import forks, tiny, train_tiny

SCRIPT = Path(__file__).parents[1] / "support" / "train_tiny.py"
EXACT = {"options": {"dropout": 0.0}, "epochs": 3, "batch": 4}
"""Without dropout, whose masks are drawn by each process for itself."""


def launched(processes: int, *arguments: str) -> list[str]:
    """The command line of torchrun on one node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--nproc-per-node", str(processes), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, "-m", "torch.distributed.run", *options, *arguments]


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def trained(folder: Path, name: str, settings: dict, processes: int = 1) -> dict[str, torch.Tensor]:
    """The weights after training in so many processes; torchrun starts them where there are several."""
    tiny.corpus(folder / "lmdb", val=5)
    arguments = [str(SCRIPT), str(folder), name, json.dumps(settings)]
    if processes > 1 or "machine" in settings:  # which may start others itself
        done = run(launched(processes, *arguments) if processes > 1 else [sys.executable, *arguments])
        assert done.returncode == 0, done.stderr[-3000:]
    else:
        assert forks.status(train_tiny.main, folder, name, settings) == 0
    return load_file(folder / name / FILE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def alone(folder) -> dict[str, torch.Tensor]:
    return trained(folder, "alone", {"model": EXACT})


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.slow
def test_two_processes_of_torchrun_end_with_the_weights_of_one(folder, alone):
    assert_same(alone, trained(folder, "two", {"model": EXACT}, processes=2))
    one, two = (Checkpoint.read(folder / name).recipe for name in ("alone", "two"))
    assert two["result"] == pytest.approx(one["result"], abs=1e-9), "each of the 4 videos that are there counts once"
    assert two["machines"] == [one["machines"][0] | {"devices": 2}]


@pytest.mark.slow
def test_processes_that_the_stage_starts_itself_do_the_same(folder, alone):
    assert_same(alone, trained(folder, "own", {"model": EXACT, "machine": {"devices": 2}}))


@pytest.mark.slow
def test_shares_of_different_sizes_count_by_their_size(folder):
    odd = {"model": EXACT | {"batch": 3}}
    assert_same(trained(folder, "odd", odd), trained(folder, "odd-two", odd, processes=2))


@pytest.mark.slow
def test_a_killed_process_ends_the_job_and_a_run_of_one_goes_on_from_its_state(folder):
    settings = {"model": EXACT | {"epochs": 20}, "machine": {"save_seconds": 0}}
    tiny.corpus(folder / "lmdb", val=5)
    job = subprocess.Popen(
        launched(2, str(SCRIPT), str(folder), "killed", json.dumps(settings)),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for_best(folder / "killed-work", job)
        os.kill(workers(job.pid)[-1], signal.SIGKILL)
        _, said = job.communicate(timeout=120)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode != 0
    assert "SIGKILL" in said
    assert not (folder / "killed" / FILE).exists()

    trained(folder, "killed", settings)
    trained(folder, "whole", settings)
    killed, whole = (Checkpoint.read(folder / name) for name in ("killed", "whole"))
    assert [machine["devices"] for machine in killed.recipe["machines"]] == [2, 1]
    assert_same(whole.weights, killed.weights)


@pytest.mark.slow
def test_a_signal_to_the_first_process_saves_and_ends_all_of_them(folder):
    settings = {"model": EXACT | {"epochs": 4000}, "machine": {"devices": 2, "save_seconds": 9999}}
    tiny.corpus(folder / "lmdb", val=5)
    arguments = [str(SCRIPT), str(folder), "killed", json.dumps(settings)]
    job = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL, start_new_session=True)
    scratch = folder / "killed-work"
    wait_for_best(scratch, job)
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=120) != 0
    (state,) = scratch.rglob("state.pt")
    progress = torch.load(state, weights_only=True)["state"]
    assert progress["step"] == 2 * len(progress["history"]) + len(progress["steps"]["loss"]) > 0
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-g", str(job.pid)], stdout=subprocess.DEVNULL).returncode == 0:
        assert time.monotonic() < deadline, "a process of the job is still there"
        time.sleep(0.1)


def wait_for_best(scratch: Path, job: subprocess.Popen) -> None:
    """Until the first epoch is over."""
    deadline = time.monotonic() + 120
    while not any(scratch.glob("train/killed-*/best.pt")):
        assert job.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(launcher: int) -> list[int]:
    """The processes that torchrun has started, in the order of their ranks."""
    listed = run(["ps", "-o", "pid=", "--ppid", str(launcher)]).stdout.split()
    return sorted(int(pid) for pid in listed)[-2:]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("total", [1, 2, 7, 8])
def test_shares_cover_everything_once_and_come_together_in_order(world, total, monkeypatch):
    rows = torch.arange(float(total)).view(-1, 1)
    ranks = [SimpleNamespace(global_rank=rank, world_size=world, device="cpu") for rank in range(world)]
    parts = [distributed.share(rows, rank) for rank in ranks]
    assert sorted(torch.cat(parts).flatten().tolist()) == rows.flatten().tolist()

    most = max(map(len, parts))
    padded = torch.stack([torch.cat([part, torch.zeros(most - len(part), 1)]) for part in parts])
    for rank, part in zip(ranks, parts, strict=True):
        rank.all_gather = lambda own: padded
        assert distributed.gather(part, total, rank).tolist() == rows.tolist()


def test_the_launcher_overrules_the_settings(monkeypatch, tmp_path):
    machine = tiny.machine(tmp_path, devices=3)
    assert distributed.layout(machine) == (3, 1)
    for name, value in {"SLURM_NTASKS": "32", "SLURM_NNODES": "4", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    assert distributed.layout(machine) == (8, 4)


def test_torchrun_overrules_the_settings(monkeypatch, tmp_path):
    monkeypatch.setattr(distributed.TorchElasticEnvironment, "detect", staticmethod(lambda: True))
    monkeypatch.setenv("WORLD_SIZE", "16")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert distributed.layout(tiny.machine(tmp_path)) == (8, 2)


def test_without_a_gpu_there_is_one_device(tmp_path):
    assert distributed.layout(tiny.machine(tmp_path)) == (1, 1)


def test_half_precision_with_a_scaler_needs_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        distributed.launch(tiny.machine(tmp_path, precision="fp16", accelerator="auto"))
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        tiny.machine(tmp_path, precision="fp16", accelerator="cpu")


def test_half_precision_on_a_cpu_keeps_away_from_kernels_that_give_wrong_gradients(tmp_path):
    for precision, enabled in (("bf16", False), ("32", True)):
        machine = tiny.machine(tmp_path, precision=precision)
        with distributed.sound_gradients(distributed.launch(machine), machine):
            assert torch.backends.mkldnn.enabled == enabled
        assert torch.backends.mkldnn.enabled
