"""A project of its own for each seed, beside the others: a copy of this one's code in which DVC runs what is stale.

So nothing is shared with the project at hand, and what is finished is not run again: DVC knows.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import yaml
from plan import start_of

from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.runtime.checkpoint import FILE, Checkpoint

OURS = ("data", "dvc.lock", "params.yaml")
"""What a copy has of its own, which is not taken from the project at hand."""
KEPT = (*OURS, ".git", ".dvc", "work", "logs", "starts", "log.txt", "cpu.json")
"""What stays when the code is copied anew."""
TOLD = 30
"""Lines of the log that are shown when a stage fails."""


class SeedProject:
    """The project of one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder / f"seed-{seed}", seed

    def copy_code(self, root: Path) -> None:
        """Copy what Git knows, or would know, of the project at `root`; what was computed here stays."""
        listed = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, encoding="utf-8"
        ).split("\0")
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.iterdir():
            if old.name not in KEPT:
                files.remove(old)
        for name in filter(None, listed):
            first = Path(name).parts[0]
            if first not in (*OURS, "tests", "docs") and (root / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, self.folder / name)
        if not (self.folder / ".git").is_dir():  # DVC would take a repository above, which ignores this folder
            commit = ["-c", "user.name=claims", "-c", "user.email=claims@localhost", "commit", "-q", "--allow-empty"]
            for command in (["init", "-q"], [*commit, "-m", "DVCLive wants a commit"]):
                subprocess.run(["git", *command], cwd=self.folder, check=True)

    @property
    def data(self) -> Path:
        """What the stages made."""
        return self.folder / "data"

    def take_start(self, model: str, other: "SeedProject") -> bool:
        """Take another seed's weights of a model, if they are there, under class names that are nobody's.

        Classes that the corpus does not have give a training a new classifier.
        """
        trained = other.data / "models" / model
        if (trained / FILE).is_file():
            found, to = Checkpoint.read(trained), self.folder / start_of(model).parent
            to.mkdir(parents=True, exist_ok=True)
            strange = tuple(f"{name} of corpus {other.seed}" for name in found.classes)
            Checkpoint(found.weights, found.recipe, strange, found.input).write(to)
        return (self.folder / start_of(model)).is_file()

    def run(self, settings: dict[str, Any]) -> None:
        """Run all stages up to the prediction files of every model of `settings`, a line for each stage.

        Raises:
            UserError: a stage failed; the last of its words are shown.
        """
        files.write_text(self.folder / "params.yaml", yaml.safe_dump(settings, sort_keys=False))
        count, before, started = len(settings["models"]), _busy(), time.monotonic()
        done, last = 0, deque[str](maxlen=TOLD)
        command = [sys.executable, "-m", "dvc", "repro", "infer"]
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment(),
                encoding="utf-8", errors="replace",
            )  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    last.append(line)
                    if line.startswith(("Running stage '", "Stage '")):
                        stage = line.split("'")[1]
                        done += stage.startswith("infer@")
                        if line.startswith("Running"):
                            minutes = (time.monotonic() - started) / 60
                            print(f"seed {self.seed}, {minutes:5.1f} min, model {done} of {count}: {stage}", flush=True)
            finally:  # Ctrl-C reaches the stage as well, which saves what it has
                process.wait()
                self._count(_busy() - before)
        if process.returncode:
            raise UserError(f"{''.join(last)}\nseed {self.seed} failed; all of it: {self.folder / 'log.txt'}")

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all calls of `run` so far."""
        file = self.folder / "cpu.json"
        return float(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else 0.0

    def _count(self, seconds: float) -> None:
        files.write_json(self.folder / "cpu.json", self.cpu_seconds + seconds)


def _busy() -> float:
    """CPU seconds of all processes that were started here and have ended, and of those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    """The environment with this Python first on the path, and the packages of the copy before those installed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return {**environment, "PYTHONUNBUFFERED": "1", "PYTHONPATH": ""}
