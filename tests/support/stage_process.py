"""Stages by hand, each in a process of its own that is there at once, and that a test may limit or kill."""

import contextlib
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import corpus, forks, project
from tests.support.forks import ROOT

MODEL = "tsn_demo"
ORDER = forks.STAGES
SETTINGS = (
    "dataset=folder",
    f"model=[{MODEL}]",
    "extract.short_side=48",
    "extract.shards=3",
    "ensemble.folds=2",
    "ensemble.resamples=20",
    "machine.threads=1",
    "machine.workers=2",
    "machine.save_seconds=0",
    f"models.{MODEL}.train.epochs=2",
    f"models.{MODEL}.train.batch=2",
    f"models.{MODEL}.test.sides=[40]",
    f"models.{MODEL}.test.clips=1",
)


@dataclass(frozen=True)
class Ended:
    """A stage that has ended."""

    status: int
    """As of `subprocess`: negative where a signal ended it; it has then no figures."""
    said: str
    """What it and its children wrote to stdout and stderr."""
    seconds: float
    """Processor time of it and of its children."""
    peak: float
    """Largest memory of one of them, in MB."""


class Running:
    """A stage that runs: python -m stages.<stage> with the arguments that dvc.yaml gives it.

    Args:
        folder: the project.
        limits: resource limits by name, such as NOFILE=64.
        first: what the process calls before the stage.
        options: arguments after those of dvc.yaml.
        model: the one that a stage of one model is about.
    """

    def __init__(
        self, stage: str, folder: Path, first: Callable[[], None] | None = None, options: Sequence[str] = (),
        model: str = MODEL, **limits: int,
    ) -> None:  # fmt: skip
        (folder / "log").mkdir(exist_ok=True)
        self.log = folder / "log" / f"{stage}-{time.monotonic_ns()}"
        self.log.touch()
        given = [*arguments(stage, model), *options]
        self.process = forks.start(_run, stage, folder, self.log, first, given, limits)

    @property
    def pid(self) -> int:
        """Number of the process, and of the group of its children."""
        assert self.process.pid is not None
        return self.process.pid

    def children(self) -> list[int]:
        """Numbers of the processes that it has started and that live: workers of a loader, FFmpeg."""
        listed = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is seen; that it ends before fails the test."""
        deadline = time.monotonic() + 60
        while not seen():
            assert self.process.is_alive(), f"it ended before:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"that was not seen:\n{self.log.read_text()}"
            time.sleep(0.005)

    def kill(self, number: int = signal.SIGKILL, group: bool = True) -> None:
        """Send a signal to the stage and, if asked, to all processes that it has started."""
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, seconds: float = 300) -> Ended:
        """Wait for its end; what takes longer hangs: it is killed, and the test fails."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"it has not ended after {seconds} s:\n{self.log.read_text()}")
        used = self.log.with_name(f"{self.log.name}.used")
        seconds, peak = map(float, used.read_text().split()) if used.is_file() else (math.nan, math.nan)
        return Ended(self.process.exitcode, self.log.read_text(errors="replace"), seconds, peak)


def run(stage: str, folder: Path, seconds: float = 300, **how) -> Ended:
    return Running(stage, folder, **how).wait(seconds)


def settings(clips: Path) -> list[str]:
    """The settings of a project whose corpus are the recorded clips."""
    labels = clips / "labels.csv"
    if not labels.is_file():
        corpus.annotate(clips)
    return [*SETTINGS, f"dataset.root={clips}", f"dataset.annotations={labels}"]


def make(folder: Path, clips: Path, *changes: str) -> Path:
    """Such a project in `folder`, without DVC; nothing has run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf").symlink_to(ROOT / "conf")
    project.write_params(folder, *settings(clips), *changes)
    return folder


def arguments(stage: str, model: str = MODEL) -> list[str]:
    """What dvc.yaml gives a stage of the model."""
    return _described(stage)["cmd"].replace("${key}", model).split()[3:]


def outs(stage: str) -> list[str]:
    """What dvc.yaml says that a stage writes."""
    found = _described(stage)
    named = [*found.get("outs", []), *found.get("metrics", []), *found.get("plots", [])]
    paths = [next(iter(out)) if isinstance(out, dict) else out for out in named]
    return [path.replace("${key}", MODEL) for path in paths]


def contents(folder: Path) -> dict[str, bytes]:
    """Each file below a folder, hidden ones too, and its bytes; or the bytes of one file."""
    if folder.is_file():
        return {"": folder.read_bytes()}
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def _described(stage: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    return found.get("do", found)


def _run(
    stage: str, folder: Path, log: Path, first: Callable[[], None] | None, given: Sequence[str],
    limits: Mapping[str, int],
) -> None:  # fmt: skip
    os.chdir(folder)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    if first:
        first()
    sys.argv = [stage, *given]
    module = __import__(f"stages.{stage}", fromlist=["main"])
    from stages.command import run as run_stage

    try:
        run_stage(module.main)
    finally:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(one.ru_utime + one.ru_stime for one in used)
        log.with_name(f"{log.name}.used").write_text(f"{seconds} {max(one.ru_maxrss for one in used) / 1e3}")
