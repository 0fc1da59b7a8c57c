"""Processes that load clips: what happens when one is killed, has no memory, or cannot hand over what it loaded."""

import os
import signal

import pytest

from tests.support import hindrances
from tests.support.stage_process import Running, run

pytestmark = pytest.mark.slow

loading_stages = pytest.mark.parametrize("stage", ["train", "infer"])


@loading_stages
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_is_a_message_and_the_same_command_goes_on(without, stage, number):
    folder = without(stage)
    running = Running(stage, folder, first=hindrances.slow_frames)
    running.until(lambda: len(running.children()) == 2)
    os.kill(running.children()[0], number)
    ended = running.wait()
    assert ended.status == 1
    told = ended.said.splitlines()[-1].lstrip("\0")  # PyTorch and a worker that lives may say more before it
    assert told.startswith("error: A process that loads clips has died (DataLoader worker (pid"), ended.said
    assert "lower machine.workers in conf/config.yaml (then `pipeline params`)" in told
    assert told.endswith("the same command goes on.")
    assert run(stage, folder).status == 0


@loading_stages
def test_no_memory_in_a_worker_is_a_message(without, stage):
    ended = run(stage, without(stage), first=hindrances.starved_workers)
    assert ended.status == 1
    assert "There is too little memory (" in ended.said
    assert "Lower machine.workers" in ended.said
    assert "Traceback" not in ended.said


@loading_stages
def test_a_full_shared_memory_is_a_message_and_never_a_wait(without, stage):
    ended = run(stage, without(stage), first=hindrances.no_shared_memory)
    assert ended.status == 1
    assert "The shared memory /dev/shm (" in ended.said
    assert "docker run --shm-size=8g" in ended.said
    assert "lower machine.workers" in ended.said
    assert "Traceback" not in ended.said
