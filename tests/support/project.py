"""A copy of the project to run DVC in, as a user has it after cloning."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.cli import compose

ROOT = Path(__file__).parents[2]


def copy(folder: Path) -> Path:
    """Copy what git knows or would know into `folder`, without tests and results, as a Git repository."""
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).stdout.splitlines()
    for name in listed:
        if not name.startswith(("tests/", "data/")) and name != "dvc.lock" and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run(["git", "init", "-q"], folder)
    run(["git", "add", "--all"], folder)
    run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "A clone"], folder)
    return folder


def write_params(folder: Path, *overrides: str) -> None:
    (folder / "params.yaml").write_text(compose.text(folder / "conf", overrides))


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "dvc", *arguments], folder)


def start(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a group of processes of its own; `log` gets what it says."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, env=_environment(folder), start_new_session=True
        )


def run(command: list[str], folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with this Python first on the path, as an activated environment has it."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=_environment(folder))
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def changed(folder: Path) -> set[str]:
    """The stages that DVC finds changed, without those that follow from them; not `index` for running every time."""
    found = json.loads(dvc(folder, "status", "--json").stdout)
    return {stage for stage, reasons in found.items() if reasons != ["always changed"]}


def ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The stages that a `dvc repro` ran."""
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def _environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    environment.pop("PYTHONPATH", None)
    return environment
