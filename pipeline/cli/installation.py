"""Checks of `pipeline doctor` that look at the machine and at what is installed.

Each check imports what it looks at by itself: in a broken installation the others still run.
"""

import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.cli.finding import Finding, fail, ok, size, warn

PYPROJECT = Path("pyproject.toml")
CONSTRAINTS = Path("constraints.txt")
INSTALL = "`make install` brings the pinned set."
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much a container may use; "max" where there is no limit."""
LITTLE_MEMORY = 4 * 2**30
LITTLE_SHARED_MEMORY = 2**29
OLDEST_FFMPEG = (5, 1)
"""The first version with -fps_mode, which the extraction asks for."""


def python() -> Finding:
    """Python is new enough."""
    found = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < (3, 11):  # noqa: UP036 - who runs a clone without installing it may have an older one
        return fail(found, "3.11 or newer is needed: `make PYTHON=/path/to/python3.11 install`")
    return ok(found)


def system() -> Finding:
    """The operating system has the calls that the long stages are built on."""
    needed = {
        "signal.sigwaitinfo, without which loaders (train, infer) do not end": hasattr(signal, "sigwaitinfo"),
        "forked processes, which the search for the ensemble's weights uses": "fork"
        in multiprocessing.get_all_start_methods(),
        "fcntl, which keeps two runs of infer apart": importlib.util.find_spec("fcntl") is not None,
    }
    lacking = [what for what, there in needed.items() if not there]
    if lacking:
        return fail(f"{platform.platform()} has no {'; no '.join(lacking)}", "Use Linux, a container or WSL 2 will do.")
    if sys.platform != "linux":
        return warn(platform.platform(), "The pipeline is tested on Linux only.")
    return ok(platform.platform())


def packages() -> Finding:
    """Installed versions lie in the ranges of pyproject.toml, and are those of constraints.txt."""
    import tomllib

    from packaging.requirements import Requirement

    ranges = [Requirement(text) for text in tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]]
    pins = [Requirement(text) for text in CONSTRAINTS.read_text().splitlines() if text and not text.startswith("#")]
    wrong = [_named(one) for one in ranges if (have := _version(one.name)) is None or not _fits(one, have)]
    if wrong:
        return fail(f"{len(wrong)} of {len(ranges)} are missing or of a wrong version: {', '.join(wrong)}", INSTALL)
    other = [_named(pin) for pin in pins if (have := _version(pin.name)) is not None and not _fits(pin, have)]
    if other:
        shown = ", ".join(other[:4]) + (", ..." if len(other) > 4 else "")
        return warn(f"{len(other)} differ from constraints.txt: {shown}", INSTALL)
    return ok(f"{len(ranges)} in the ranges of pyproject.toml, and as constraints.txt pins them")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _fits(wanted: Any, have: str) -> bool:
    fits: bool = wanted.specifier.contains(have, prereleases=True)
    return fits


def _named(wanted: Any) -> str:
    return f"{wanted} (here: {_version(wanted.name) or 'none'})"


def extras() -> Finding:
    """The packages that these settings ask for, and others do not, are installed."""
    from pipeline.check_model import reported
    from pipeline.clips.inputs import input_of
    from pipeline.core import params, ray_engine, registry
    from pipeline.core.machine import load_machine
    from pipeline.core.remote_folder import RemoteFolder, corpus_root
    from pipeline.flow import config as flow
    from pipeline.layers import hugging_face
    from pipeline.training import trackers

    machine, models, root = load_machine(), params.read("models").values(), corpus_root(params.text("dataset.root"))
    asked: dict[str, Callable[[], Any]] = {logger: partial(trackers.require, logger) for logger in machine.loggers}
    if machine.engine == "ray":
        asked["ray"] = ray_engine.library
    if isinstance(root, RemoteFolder):
        asked["remote"] = root.require_package
    if any(getattr(registry.find("models", model["arch"]), "EXTRA", "") == "hf" for model in models):
        asked["hf"] = hugging_face.library
    lacking: list[str] = []
    unanswered: list[str] = []
    if any(input_of(model["clip"]) == "flow" for model in models):
        if params.read("flow.folder") is None:
            asked["flow"] = flow.library
        else:
            with reported(unanswered, "predict, serve: new videos have no flow in flow.folder. "):
                flow.library()
    for require in asked.values():
        with reported(lacking, ""):
            require()
    if told := "; ".join([*lacking, *unanswered]):
        return fail(told, "") if lacking else warn(told, "")
    return ok(", ".join(asked) or "these settings ask for none")


def ffmpeg() -> Finding:
    """FFmpeg runs, and knows the options that the extraction gives it."""
    from pipeline.core.machine import ffmpeg_version, load_machine

    path = load_machine().ffmpeg_path()
    version = ffmpeg_version(path)
    numbers = re.match(r"n?(\d+)\.(\d+)", version)  # builds from Git are named by their commit
    if numbers and tuple(map(int, numbers.groups())) < OLDEST_FFMPEG:
        return fail(
            f"{version}, {path}", "5.1 or newer is needed: set machine.ffmpeg: null in conf/, `pipeline params`"
        )
    if lacking := _lacking(path):
        remedy = "Set machine.ffmpeg: null in conf/ for the FFmpeg that comes along, `pipeline params`"
        return fail(f"{version}, {path} has no {', '.join(lacking)}", remedy)
    return ok(f"{version}, {path}")


def _lacking(ffmpeg: str) -> list[str]:
    """What the extraction needs and this build of FFmpeg was made without."""
    from pipeline.extraction.filters import NAMES

    def listed(what: str) -> list[str]:
        return subprocess.run([ffmpeg, what], capture_output=True, encoding="utf-8", check=True).stdout.split()

    filters, protocols = listed("-filters"), listed("-protocols")
    return [f"filter {name}" for name in NAMES if name not in filters] + ["protocol fd"] * ("fd" not in protocols)


def memory() -> Finding:
    """There is memory enough for PyTorch and its loaders."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if MEMORY_LIMIT.is_file() and (limit := MEMORY_LIMIT.read_text().strip()) != "max":
        total = min(total, int(limit))
    if total < LITTLE_MEMORY:
        return warn(size(total), "Set machine.workers: 1 in conf/config.yaml (then `pipeline params`).")
    return ok(size(total))


def shared_memory() -> Finding:
    """Loaders have room to hand over their clips."""
    from pipeline.core.faults import SHARED_MEMORY

    if not SHARED_MEMORY.is_dir():
        return ok(f"there is no {SHARED_MEMORY}")
    total = shutil.disk_usage(SHARED_MEMORY).total
    if total < LITTLE_SHARED_MEMORY:
        remedy = f"In Docker: `docker run --shm-size=8g`; elsewhere `mount -o remount,size=8g {SHARED_MEMORY}`."
        return warn(f"{size(total)} in {SHARED_MEMORY}, in which loaders hand over clips", remedy)
    return ok(f"{size(total)} in {SHARED_MEMORY}")


def cores() -> Finding:
    """The threads that PyTorch is told to use have a core each."""
    from pipeline.core.machine import load_machine

    machine = load_machine()
    count = replace(machine, workers=0).processes
    found = f"{count}; machine.workers makes {machine.processes} processes, machine.threads is {machine.threads}"
    if machine.threads > count:
        return warn(found, f"Set machine.threads: {count} in conf/config.yaml (then `pipeline params`).")
    return ok(found)


def gpu() -> Finding:
    """PyTorch sees the GPU that is there, and the one that machine.accelerator asks for."""
    import torch

    from pipeline.core.machine import load_machine

    driver, asked = _driver(), load_machine().accelerator
    if torch.cuda.is_available():
        each = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return ok(f"{', '.join(f'{one.name} {size(one.total_memory)}' for one in each)}; driver {driver or 'unknown'}")
    built = f"PyTorch {torch.__version__} (CUDA {torch.version.cuda or 'none'})"
    if driver:
        text = f"{built} does not see the GPU of driver {driver}"
        return fail(
            text, "Install a PyTorch for this driver, or a driver for this PyTorch; accelerator: cpu does without."
        )
    if asked == "gpu":
        return fail(f"{built} sees none", "Set machine.accelerator: auto in conf/config.yaml (then `pipeline params`).")
    return ok("none: models run on the CPU")


def _driver() -> str | None:
    """The version of NVIDIA's driver; None where there is none."""
    if not (tool := shutil.which("nvidia-smi")):
        return None
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
    return done.stdout.partition("\n")[0].strip() or None if done.returncode == 0 else None


CHECKS = (python, system, packages, extras, ffmpeg, memory, shared_memory, cores, gpu)
