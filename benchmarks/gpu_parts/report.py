"""The figures of benchmarks/gpu.py: printed as they come, kept in a file, and none begun that would end too late."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

Figure = str | float | int | bool | None


class Report:
    """Figures by section, for so many minutes.

    Args:
        folder: where gpu.json is written anew after each figure; None: nowhere.
        minutes: after which nothing is begun any more.
    """

    def __init__(self, folder: Path | None, minutes: float) -> None:
        self.folder, self.end = folder, time.monotonic() + 60 * minutes
        self.rows: list[dict[str, Figure]] = []

    def add(self, section: str, **figures: Figure) -> None:
        """Print a line of figures, and keep it."""
        self.rows.append({"section": section, **figures})
        shown = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
        ]
        print(f"{section}: {', '.join(shown)}", flush=True)
        if self.folder is not None:
            partial = self.folder / "gpu.json.partial"
            partial.write_text(json.dumps(self.rows, indent=1), encoding="utf-8")
            partial.replace(self.folder / "gpu.json")

    def has_time(self, what: str, seconds: float) -> bool:
        """Whether so many seconds are left; if not, a line says what is left out."""
        left = self.end - time.monotonic()
        if left < seconds:
            self.add("left out", what=what, needs_seconds=seconds, left_seconds=round(left, 1))
        return left >= seconds


def seconds_of(call: Callable[[], object], device: torch.device, budget: float, most: int = 20) -> float:
    """Seconds of a call, the mean over as many as the budget of seconds holds, 1 to `most`, after two to warm up."""
    for _ in range(2):
        call()
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    count = max(1, min(most, int(budget / max(time.perf_counter() - start, 1e-6))))
    start = time.perf_counter()
    for _ in range(count):
        call()
    wait(device)
    return (time.perf_counter() - start) / count


def wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
