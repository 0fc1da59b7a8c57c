"""Steps of training, as the pipeline takes them: from pinned bytes to moved weights."""

import gc
import time
from dataclasses import dataclass

import numpy as np
import torch
from gpu_parts.report import Figure, wait

from pipeline.class_stats import ClassStatistics
from pipeline.cli import model_table
from pipeline.cli.arguments import CLASSES
from pipeline.core.machine import Machine
from pipeline.core.task import MULTI_LABEL
from pipeline.runtime import distributed
from pipeline.training.config import ModelConfig
from pipeline.training.step import Pieces, TrainStep

STATISTICS = ClassStatistics(tuple(map(str, range(CLASSES))), np.full(CLASSES, 10), 10 * CLASSES)


@dataclass(frozen=True)
class Way:
    """How a step is computed: what `machine` says."""

    kind: str
    """32, tf32 or bf16; with bf16, float32 products are TF32."""
    channels_last: bool = False
    compile: bool = False


def machine(device: torch.device, way: Way, scratch: str = "unused", workers: int = 0) -> Machine:
    """The section `machine` for a way."""
    return Machine(
        workers=workers, threads=max(1, torch.get_num_threads()), accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1, precision="bf16" if way.kind == "bf16" else "32", tf32=way.kind != "32", clips_per_device=None,
        channels_last=way.channels_last, compile=way.compile, scratch=scratch, ffmpeg=None, save_seconds=3600,
    )  # fmt: skip


def batch_of(config: ModelConfig, clips: int, pin: bool) -> Pieces:
    """One piece of clips of noise, with two classes each, in pinned memory where a GPU is to fetch it."""
    shape = clips, config.clip.sampler.length, *[config.crop] * 2, 3
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8).permute(0, 4, 1, 2, 3)  # as the loader hands them over
    targets = torch.zeros(clips, CLASSES)
    targets[torch.arange(clips)[:, None], torch.randint(CLASSES, (clips, 2))] = 1
    return ((pixels.pin_memory(), targets.pin_memory()) if pin else (pixels, targets),)


def measure(
    config: ModelConfig, clips: int, way: Way, device: torch.device, peak: float | None, budget: float
) -> dict[str, Figure]:
    """Clips a second, share of the stated peak (MFU) and memory of steps with at most so many clips.

    The batch is halved until it fits. A step takes three times the operations of the forward pass, which the zoo's
    GMACs count; MFU is these operations a second by the peak.
    """
    while True:
        try:
            seconds = step_seconds(config, clips, way, device, budget)
            break
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            clips //= 2
            if not clips:
                return {"batch": 0}
    _, gmacs = model_table.cost(config)
    rate = clips / seconds
    flops = 6e9 * gmacs * rate
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    mfu = flops / peak if peak else None
    return {"batch": clips, "clips_a_second": rate, "tflops": flops / 1e12, "mfu": mfu, "gib": memory}


def step_seconds(config: ModelConfig, clips: int, way: Way, device: torch.device, budget: float) -> float:
    """Seconds of a step, the mean over as many as the budget holds, 3 to 20. Outcomes are read a step later."""
    torch.compiler.reset()  # or the code of an earlier model counts as this one's, compiled anew
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    on = machine(device, way)
    step = TrainStep(config.of(MULTI_LABEL), CLASSES, STATISTICS, distributed.launch(on), on)
    step.model.train()
    pieces = batch_of(config, clips, device.type == "cuda")
    for number in range(2):
        step(pieces, 1e-4, number).read()
    start = time.perf_counter()
    step(pieces, 1e-4, 2).read()
    count = max(3, min(20, int(budget / (time.perf_counter() - start))))
    start, before = time.perf_counter(), None
    for number in range(3, 3 + count):
        outcome = step(pieces, 1e-4, number)
        if before is not None:
            before.read()
        before = outcome
    wait(device)
    return (time.perf_counter() - start) / count
