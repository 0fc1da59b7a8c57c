"""The machine (not the experiment): workers, threads, devices, folders, FFmpeg.

No stage of dvc.yaml but `check` depends on this section of params.yaml, so moving to a larger machine keeps the cache.
Engine, workers, scratch and save_seconds change no byte of any output. The other settings change the last bits of what
a network computes, and mixed precision or accumulation change more: the model's recipe records them. The version of
FFmpeg is part of the fingerprint of a frame shard.
"""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.share import Share

Logger = Literal["tensorboard", "wandb", "mlflow"]

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Machine:
    """Section `machine` of params.yaml."""

    workers: int
    """Number of videos decoded at once, shards packed at once, and processes that load clips; 0 takes one a core."""
    threads: int
    """Number of CPU threads of PyTorch. The same number gives the same results to the bit."""
    accelerator: Literal["auto", "cpu", "gpu"]
    """Device that models run on; auto takes a GPU where there is one."""
    devices: int
    """Number of devices that train a model together; 0 takes every GPU, or one CPU. torchrun and SLURM overrule it."""
    precision: Literal["32", "bf16", "fp16"]
    """Precision of the forward and backward pass: bf16 and fp16 are mixed precision. Weights stay float32."""
    tf32: bool
    """Whether a GPU may round the factors of float32 products to 10 bits of mantissa, which is much faster."""
    clips_per_device: int | None
    """Largest number of clips in a forward pass of training; gradients of a larger share of the batch are accumulated.
    null passes the whole share at once."""
    channels_last: bool | Literal["auto"]
    """Whether the weights of convolutions lie in memory with the channels last, in training. auto: on a CPU where there
    are depthwise convolutions (MobileNet, EfficientNet), which take 0.6 of the time so; testing does the same."""
    compile: bool
    """Whether the network is trained with torch.compile."""
    scratch: str
    """Folder for finished pieces of work and resume states, best on a fast local disk; may be deleted between runs."""
    ffmpeg: str | None
    """Path of an FFmpeg; null takes the pinned one of imageio-ffmpeg."""
    save_seconds: float
    """Seconds between two resume states of training, which are also written at the end of every epoch."""
    views_per_pass: int | None = None
    """Largest number of views in a forward pass of testing; null takes as many as have 17 million pixels together."""
    videos_per_pass: int = 1
    """Largest number of videos of which a forward pass of testing holds views, 1 .. 16. More is for a GPU that the
    views of one video leave idle: their frames then lie on it at once, and a pass has the size of `views_per_pass`."""
    decode: Literal["workers", "device"] = "workers"
    """What decodes the frames for testing: the workers, or the device of the model, for machines with few cores for
    each GPU: a GPU by nvJPEG, whose pixels differ by a few of 255."""
    scratch_gb: float = 20.0
    """Gigabytes of videos that `extract` has in the scratch folder at any moment, where they are fetched
    (`dataset.root` is a URL); each call and each task of Ray has its own. Other things in that folder do not count."""
    engine: Literal["local", "ray"] = "local"
    """What does the shards of extraction, packing and testing: this node, or all nodes of the Ray cluster that runs. A
    task of Ray takes `workers` CPUs; with 0, one (which extracts or packs) or as many as `threads` (which tests)."""
    logs: str = "logs"
    """Folder of what trainings say of themselves besides their results: how fast they go, and the files of `logger`."""
    logger: Literal["none"] | Logger | tuple[Logger, ...] = "none"
    """Experiment tracker, or a list of some, that trainings write to besides; each is an extra of the same name."""

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
            (1 <= self.videos_per_pass <= 16, f"videos_per_pass must lie in 1..16, but is {self.videos_per_pass}"),
            (bool(self.scratch), "scratch must name a folder"),
            (bool(self.logs), "logs must name a folder"),
            (self.scratch_gb > 0, f"scratch_gb must be above 0, but is {self.scratch_gb:g}"),
            ((self.precision, self.accelerator) != ("fp16", "cpu"), "precision fp16 needs a GPU; take 32 or bf16"),
        )

    @property
    def processes(self) -> int:
        """The number of workers, at least 1; only cores that this process may use count, where the system can tell."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @property
    def loggers(self) -> tuple[str, ...]:
        """The names of the trackers that `logger` asks for."""
        asked = self.logger if isinstance(self.logger, tuple) else (self.logger,)
        return tuple(name for name in asked if name != "none")

    def uses_ray(self, share: Share | None) -> bool:
        """Whether the nodes of a Ray cluster do the work.

        Raises:
            UserError: a share of the work is asked for besides.
        """
        if share and self.engine == "ray":
            raise UserError(
                f"--shard {share} is for calls that no engine starts, and machine.engine: ray hands out shares itself. "
                "Leave out --shard, or set machine.engine: local in conf/config.yaml (then `pipeline params`)."
            )
        return self.engine == "ray"

    def ffmpeg_path(self) -> str:
        """Path or name of the FFmpeg to call, which has been run once.

        Raises:
            UserError: there is none, or it does not run.
        """
        try:
            path = self.ffmpeg or _pinned()
            if os.sep in path:  # a bare name is looked up; a path must hold in every folder that FFmpeg is started in
                path = str(Path(path).absolute())
            ffmpeg_version(path)
        except (ImportError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
            raise UserError(
                f"FFmpeg does not run ({error}). `make install` brings the pinned one; "
                "machine.ffmpeg in conf/config.yaml may name another (then `pipeline params`)."
            ) from error
        return path


def _pinned() -> str:
    import imageio_ffmpeg  # noqa: PLC0415 - a machine that only trains and tests needs no FFmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _at_least_one(number: int | None) -> bool:
    return number is None or number >= 1


def load_machine() -> Machine:
    """Load the section `machine` of params.yaml."""
    return params.load("machine", Machine)


@cache
def ffmpeg_version(path: str) -> str:
    """The version that the FFmpeg at `path` reports, e.g. ``7.0.2-static``."""
    said = subprocess.run([path, "-version"], capture_output=True, encoding="utf-8", check=True).stdout
    return said.split("\n")[0].removeprefix("ffmpeg version ").split(" Copyright")[0]


def parallel(function: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """The results of `function` for all items, in their order, from a pool of threads; the first error ends it.

    Threads are enough, since FFmpeg processes do the work. At most two items for each worker are under way or waiting
    for the consumer, so memory stays bounded however slow it is.
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
    """The folder of a stage in the scratch folder, which is made if need be."""
    folder = Path(machine.scratch) / stage
    folder.mkdir(parents=True, exist_ok=True)
    return folder
