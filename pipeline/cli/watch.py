"""Watch the stages that run.

Each says how far it is, how fast, and how long it takes still. The GPUs of this machine come after them.

    pipeline watch              drawn anew every second, until Ctrl-C
    pipeline watch --once       once
    pipeline watch --json       once, as JSON

Stages tell it by small files in machine.scratch, whoever started them: `dvc repro`, a queued experiment of this
project, a share of the work, a node of a cluster that shares the folder. A stage that was killed is not there.
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import params, status
from pipeline.runtime.progress import duration, rate

if TYPE_CHECKING:
    from rich.table import Table

EXPERIMENTS = Path(".dvc/tmp/exps")
"""Where DVC copies the project to for each experiment of its queue, and in `standalone` for one of `--temp`."""
PAUSE = 1.0
"""Seconds between two looks."""
SILENT = 30.0
"""Seconds without a word after which it is said how long ago the last one was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="print what runs now, and end")
    how.add_argument("--json", action="store_true", help="print it as JSON, and end")


def run(args: argparse.Namespace) -> None:
    """Print what runs, once or again and again."""
    from rich.console import Console
    from rich.live import Live

    folders = scratch_folders(Path(params.text("machine.scratch")))
    if args.json:
        print(json.dumps({"stages": stages(folders), "gpus": gpus()}, indent=2, ensure_ascii=False))
    elif args.once:
        Console().print(shown(stages(folders), gpus(), time.time()))
    else:
        with Live(auto_refresh=False, screen=Console().is_terminal) as live:
            while True:
                folders = scratch_folders(Path(params.text("machine.scratch")))
                live.update(shown(stages(folders), gpus(), time.time()), refresh=True)
                time.sleep(PAUSE)


def scratch_folders(scratch: Path) -> list[Path]:
    """That of this project, and where its path is relative, those of the copies in which queued experiments run."""
    copies = [] if scratch.is_absolute() else [*EXPERIMENTS.glob("*/"), *EXPERIMENTS.glob("standalone/*/")]
    return [scratch, *(copy / scratch for copy in sorted(copies))]


def stages(folders: list[Path]) -> list[dict[str, Any]]:
    """What runs in each of the folders."""
    return [one for folder in folders for one in status.running(folder)]


def gpus() -> list[dict[str, Any]]:
    """The GPUs of this machine: name, share of the last second that they computed, and gigabytes in use and in all."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no NVIDIA driver
        return []
    found = []
    for number in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        name, busy = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        found.append({"name": name, "busy_percent": busy, "used_gb": memory.used / 1e9, "total_gb": memory.total / 1e9})
    return found


def shown(running: list[dict[str, Any]], devices: list[dict[str, Any]], now: float) -> "Table":
    """A row a stage, then a row a GPU."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=bool(running or devices))
    for title in ("stage", "at", "done", "speed", "left", "since"):
        table.add_column(title, overflow="fold")
    for one in running:
        table.add_row(*map(Text, row(one, now)))
    for number, gpu in enumerate(devices):
        memory = f"{gpu['used_gb']:.1f} of {gpu['total_gb']:.0f} GB"
        table.add_row(*map(Text, (f"GPU {number}", gpu["name"], f"{gpu['busy_percent']}% busy", memory)))
    if not running:
        table.add_row(Text("No stage is running."))
    return table


def row(one: dict[str, Any], now: float) -> tuple[str, ...]:
    """The cells of a stage: its name, what it is at, how much is done, the speed, the time left, and since when."""
    of = [one.get("out") if "model" in one else None, one.get("shard"), one.get("experiment"), f"on {one['node']}"]
    at, silent = [one.get("doing"), one.get("note")], now - one["updated"]
    if silent > SILENT:
        at.append(f"last heard of {duration(silent)} ago")
    done, speed, left = "", "", ""
    if "done" in one:
        share = f" ({one['done'] / one['total']:.0%})" if one["total"] else ""
        done = f"{one['done']} of {one['total'] or '?'}{share}"
        speed = rate(one["rate"], 1.0, one["unit"])
        left = duration(one["seconds_left"]) if one["seconds_left"] is not None else ""
    name = " ".join([one["stage"], *filter(None, of)])
    return name, "  ".join(filter(None, at)), done, speed, left, duration(now - one["started"])
