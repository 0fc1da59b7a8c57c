"""Processes of their own that are there at once, and that a test may limit or kill.

They are forks of one that has imported what all of them import and computed nothing, which saves seconds each.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = ("check", "index", "check_corpus", "extract", "pack", "stats", "train", "infer", "ensemble", "report")

_server = get_context("forkserver")
_OURS = ("tests.support.stage_process", "tests.support.hindrances")  # imported late, they delay what a test waits for
_server.set_forkserver_preload([*(f"stages.{stage}" for stage in STAGES), "timm", "torchvision", *_OURS])


def start(function: Callable[..., None], *arguments: object) -> ForkServerProcess:
    """Call a function of an imported module in a new process, the first of a group of its own."""
    process = _server.Process(target=_run, args=(function, arguments))
    process.start()
    return process


def status(function: Callable[..., None], *arguments: object) -> int:
    """The same, when it has ended; what takes five minutes hangs, and is killed."""
    process = start(function, *arguments)
    process.join(300)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("it has not ended after 300 s")
    return process.exitcode


def _run(function: Callable[..., None], arguments: tuple[object, ...]) -> None:
    os.setpgid(0, 0)
    multiprocessing.set_start_method("fork", force=True)  # its own is that of this process
    function(*arguments)
