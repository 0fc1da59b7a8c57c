"""Training on a GPU: clips a second by precision, memory layout and compilation, and whether bf16 agrees with float32.

    python benchmarks/gpu.py              # needs a GPU; the last table also needs `make demo` before it

Each figure is the median of 20 steps (forward, loss, backward, SGD) on clips that lie on the GPU already, after 5 to
warm up, so it says what the GPU can do and not what the disks deliver. The batch is the largest power of two up to 64
that fits in memory.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import timm
import torch
import torchvision
from torch import nn

from pipeline.class_stats import ClassStatistics
from pipeline.cli import model_table
from pipeline.cli.arguments import CLASSES, CONF
from pipeline.clips.frame_store import FrameStore
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.markdown import text_table
from pipeline.runtime import distributed
from pipeline.training.config import ModelConfig
from pipeline.training.trainer import fit

MODELS = ("tsm_r50", "tin_r101", "slowfast_8x8_r101")
WAYS = [(p, layout, compiled) for p in ("32", "bf16") for layout in (False, True) for compiled in (False, True)]


def clips_per_second(config: ModelConfig, precision: str, channels_last: bool, compiled: bool) -> tuple[float, int]:
    batch = 64
    while batch:
        try:
            return batch / step_seconds(config, batch, precision, channels_last, compiled), batch
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            batch //= 2
    return float("nan"), 0


def step_seconds(config: ModelConfig, batch: int, precision: str, channels_last: bool, compiled: bool) -> float:
    model, _ = config.build(CLASSES)
    model = model.cuda().train()
    clip = torch.randn(batch, 3, config.clip.sampler.frames, *[config.train.augment.crop] * 2, device="cuda")
    if channels_last:
        distributed.to_channels_last(model)
        clip = clip.contiguous(memory_format=torch.channels_last_3d)
    sgd = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    forward = torch.compile(model) if compiled else model
    targets, times = torch.zeros(batch, CLASSES, device="cuda"), []
    for _ in range(25):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            loss = nn.functional.binary_cross_entropy_with_logits(forward(clip), targets)
        loss.backward()
        sgd.step()
        sgd.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[5:])


def speed() -> list[str]:
    configs = model_table.configs(CONF, MODELS)
    rows = []
    for name in MODELS:
        for precision, layout, compiled in WAYS:
            rate, batch = clips_per_second(configs[name], precision, layout, compiled)
            shown = [name, precision, "yes" if layout else "no", "yes" if compiled else "no", f"{batch}", f"{rate:.0f}"]
            rows.append(shown)
            print("  ".join(shown), file=sys.stderr)
    return text_table(["model", "precision", "channels_last", "compile", "batch", "clips/s"], rows)


def convolution() -> str:
    """A 3D convolution in bf16 against float32 and float64, as the largest error by the largest value."""
    torch.manual_seed(0)
    x, weight = torch.randn(4, 64, 8, 28, 28, device="cuda"), torch.randn(64, 64, 3, 3, 3, device="cuda") / 42
    exact = nn.functional.conv3d(x.double(), weight.double(), padding=1)
    said = []
    for kind in (torch.float32, torch.bfloat16):
        found = nn.functional.conv3d(x.to(kind), weight.to(kind), padding=1).double()
        said.append(f"{kind} is off by {float((found - exact).abs().max() / exact.abs().max()):.1e}")
    return f"A 3D convolution in {' and '.join(said)} of the largest value."


def agreement() -> list[str]:
    """Validation sample mAP of tsm_demo trained in both precisions."""
    config = ModelConfig.read(params.read("models.tsm_demo"), "models.tsm_demo")
    manifest, store = Manifest.read(Path("data/manifest.tsv"), Path("data/classes.txt")), FrameStore(Path("data/lmdb"))
    rows = []
    for precision in ("32", "bf16"):
        with tempfile.TemporaryDirectory() as folder:
            machine = dataclasses.replace(load_machine(), precision=precision, scratch=f"{folder}/work", devices=1)
            done = fit(
                config, manifest, store, ClassStatistics.read(Path("data/stats")), Path(folder) / "tsm_demo", machine
            )
        rows.append([precision, f"{done.history[done.best_epoch]['val_mAP']:.2f}"])
    return text_table(["precision", "val sample mAP of tsm_demo"], rows)


if __name__ == "__main__":
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a GPU, and here is none.")
        sys.exit()
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    versions = f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}"
    print(f"{torch.cuda.get_device_name()}, {versions}, TF32 on", convolution(), "", *speed(), "", sep="\n")
    if Path("data/lmdb").is_dir() and Path("data/stats").is_dir():
        print(*agreement(), sep="\n")
