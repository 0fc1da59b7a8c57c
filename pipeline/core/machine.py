"""What describes the machine and not the experiment: workers, threads, devices, folders.

No stage of dvc.yaml lists this section of params.yaml as a dependency, so moving to a larger machine keeps the cache.
Workers, scratch and save_seconds change no byte of any out. What else a network runs on changes the last bits, and with
mixed precision or accumulation more: it is recorded in the model's recipe. FFmpeg is part of what a frame shard is kept
under.
"""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import imageio_ffmpeg

from pipeline.core import params
from pipeline.core.errors import UserError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Machine:
    """Section `machine` of params.yaml."""

    workers: int
    """Videos decoded at once, and processes that load clips. 0: one a core."""
    threads: int
    """CPU threads of PyTorch. Results are the same to the bit for the same number."""
    accelerator: Literal["auto", "cpu", "gpu"]
    """Where models run; auto takes a GPU where there is one."""
    devices: int
    """Devices that train a model together. 0: every GPU, or one CPU. torchrun and SLURM overrule it."""
    precision: Literal["32", "bf16", "fp16"]
    """Of the forward and backward pass: bf16 and fp16 are mixed precision. Weights stay float32."""
    tf32: bool
    """Whether a GPU may round the factors of float32 products to 10 bits, which is much quicker."""
    clips_per_device: int | None
    """Most clips of a forward pass in training; a larger share of the batch is accumulated. null: the whole share."""
    channels_last: bool
    """The memory layout of the network in training."""
    compile: bool
    """Train with torch.compile."""
    scratch: str
    """Folder for finished pieces and resume state. Fast and local, may be deleted between runs."""
    ffmpeg: str | None
    """Path of another FFmpeg; null takes the pinned one of imageio-ffmpeg."""
    save_seconds: float
    """How often training writes its resume state, besides every end of an epoch."""
    views_per_pass: int | None = None
    """Most views of a forward pass in testing. null: as many as make some 17 million pixels."""

    def __post_init__(self) -> None:
        params.require(
            (self.workers >= 0, f"workers must not be negative, but is {self.workers}"),
            (self.threads >= 1, f"threads must be at least 1, not {self.threads}"),
            (self.devices >= 0, f"devices must not be negative, but is {self.devices}"),
            (self.save_seconds >= 0, f"save_seconds must not be negative, but is {self.save_seconds}"),
            (
                _at_least_one(self.clips_per_device),
                f"clips_per_device must be 1 or more, or null, not {self.clips_per_device}",
            ),
            (
                _at_least_one(self.views_per_pass),
                f"views_per_pass must be 1 or more, or null, not {self.views_per_pass}",
            ),
            (bool(self.scratch), "scratch must name a folder"),
        )

    @property
    def processes(self) -> int:
        """The number of workers, counted: a core is one that this process may use, where the system tells."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def ffmpeg_path(self) -> str:
        """The FFmpeg to call, tried once.

        Raises:
            UserError: there is none, or it does not run.
        """
        try:
            path = self.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
            if os.sep in path:  # a bare name is looked up; a path must hold in every folder that FFmpeg is started in
                path = str(Path(path).absolute())
            ffmpeg_version(path)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            raise UserError(
                f"FFmpeg does not run ({error}). `make install` brings the pinned one; "
                "machine.ffmpeg in conf/config.yaml may name another (then `pipeline params`)."
            ) from error
        return path


def _at_least_one(number: int | None) -> bool:
    return number is None or number >= 1


def load_machine() -> Machine:
    """The machine that params.yaml describes."""
    return params.load("machine", Machine)


@cache
def ffmpeg_version(path: str) -> str:
    """The version that the FFmpeg at `path` reports, e.g. ``7.0.2-static``."""
    said = subprocess.run([path, "-version"], capture_output=True, encoding="utf-8", check=True).stdout
    return said.split("\n")[0].removeprefix("ffmpeg version ").split(" Copyright")[0]


def parallel(function: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """`function` of each item on a pool of threads, in the order of the items; the first error ends it.

    Threads are enough: the work is done by FFmpeg processes. At most two items a worker are under way or waiting to
    be taken, so that memory stays bounded however slow the consumer is.
    """
    with ThreadPoolExecutor(workers) as pool:
        queue = []
        try:
            for item in items:
                queue.append(pool.submit(function, item))
                if len(queue) >= 2 * workers:
                    yield queue.pop(0).result()
            while queue:
                yield queue.pop(0).result()
        finally:
            for future in queue:
                future.cancel()


def scratch_folder(machine: Machine, stage: str) -> Path:
    """The folder of `stage` under the scratch folder, made if need be."""
    folder = Path(machine.scratch) / stage
    folder.mkdir(parents=True, exist_ok=True)
    return folder
