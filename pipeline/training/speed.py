"""How fast trainings go, for logs and messages: nothing depends on it, since no two runs agree in such figures.

`speed.csv` in the folder of the logs holds all trainings, so that `dvc plots show` draws them in one chart a figure.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline.core import files, scratch
from pipeline.core.errors import UserError
from pipeline.runtime.progress import Timer, duration, rate

log = logging.getLogger(__name__)

FILE = "speed.csv"
FIGURES = ("clips_per_second", "data_wait_percent", "gpu_memory_gb")
STARVED = 0.2
"""Share of the time spent waiting for data above which a remedy is named."""


def figures(timer: Timer, clips: int, device: torch.device) -> dict[str, float]:
    """What the steps of an epoch took in this run, without the validation; nothing where none was left to take.

    Args:
        timer: of these steps.
        clips: that they trained on, over all processes.
        device: of this process; if it is a GPU, its `memory` counts.
    """
    if not clips:
        return {}
    found = {"clips_per_second": clips / timer.elapsed, "data_wait_percent": 100 * timer.waiting}
    return found | ({"gpu_memory_gb": memory(device)} if device.type == "cuda" else {})


def memory(device: torch.device) -> float:
    """The most gigabytes of a GPU that tensors of this process took since `reset_memory`."""
    return float(torch.cuda.max_memory_allocated(device)) / 1e9


def reset_memory(device: torch.device) -> None:
    """Begin anew to note the most memory, where the device is a GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def warn_if_starved(timer: Timer) -> None:
    """Name a remedy where much of an epoch was spent waiting for data."""
    if timer.waiting > STARVED and timer.elapsed > 10:
        log.warning(
            "%.0f%% of the epoch was spent waiting for data. Raise machine.workers, put data/lmdb on a faster "
            "disk, or extract at a smaller short side.",
            100 * timer.waiting,
        )


def summary(timers: Sequence[Timer], clips: int, resumed: bool) -> str:
    """What a training took in this run, which did `clips` in one or more epochs and may have been `resumed`."""
    seconds, waited = sum(timer.elapsed for timer in timers), sum(timer.waited for timer in timers)
    return (
        f"trained {len(timers)} epoch{'s' * (len(timers) > 1)}{' in this run' * resumed}: {duration(seconds)} without "
        f"validation, {rate(clips, seconds, 'clip')}, {waited / seconds:.0%} of the time waiting for data"
    )


class SpeedLog:
    """The rows of one training in the file of all; only the first of several processes may have one.

    Args:
        folder: of the logs.
        out: folder that the training writes, by which it is known.
    """

    def __init__(self, folder: Path, out: Path) -> None:
        self.folder, self.name = folder, out.as_posix()

    def write(self, speeds: Sequence[Mapping[str, float]]) -> None:
        """Replace the training's rows by one for each finished epoch; those of folders that are gone go, too.

        Raises:
            UserError: what lies there is no such file.
        """
        rows = [{"model": self.name, "epoch": number, **row} for number, row in enumerate(speeds, start=1)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with scratch.alone(self.folder):  # two trainings may end an epoch at the same moment
            file = self.folder / FILE
            others = [row for row in _rows(file) if row["model"] != self.name and Path(row["model"]).is_dir()]
            table = pd.DataFrame([*others, *rows], columns=["model", "epoch", *FIGURES])
            files.write_text(file, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def _rows(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        found: list[dict[str, Any]] = pd.read_csv(file, dtype={"model": str}).dropna(subset="model").to_dict("records")
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{file} is no table of speeds ({error!r}). No result depends on it: `rm {file}`, and start again; the "
            "training goes on where it is."
        ) from error
    return found
