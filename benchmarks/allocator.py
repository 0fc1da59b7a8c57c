"""Time of a training step on a CPU where the C library gives freed memory back to the kernel, and where it keeps it.

    python benchmarks/allocator.py        # --smoke: one round of one step

Each way runs in a process of its own, in turns: EfficientNet-Lite0, 64 frames of 96 pixels, one thread.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import timm
import torch

from pipeline.runtime.allocator import keep_freed_memory

ROUNDS, STEPS = 3, 10
WAYS = ("given back", "kept")


def measure(way: str, steps: int) -> tuple[float, float, float]:
    """Seconds of wall time, of CPU time in the program and of CPU time in the kernel that a step takes."""
    if way == "kept":
        keep_freed_memory()
    torch.set_num_threads(1)
    network = timm.create_model("tf_efficientnet_lite0").to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    frames = torch.randn(64, 3, 96, 96).to(memory_format=torch.channels_last)
    for step in range(-2, steps):  # two warm up
        if step == 0:
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        optimizer.zero_grad(set_to_none=True)
        network(frames).square().mean().backward()
        optimizer.step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = time.perf_counter() - start, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return spent[0] / steps, spent[1] / steps, spent[2] / steps


def main(rounds: int, steps: int) -> None:
    """Print the medians of both ways."""
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, __file__, "--way", way, "--steps", str(steps)],
                capture_output=True,
                check=True,
                text=True,
            )
            found[way].append([float(word) for word in done.stdout.split()])
    print("| freed memory | wall s | CPU s, program | CPU s, kernel |\n|---|---:|---:|---:|")
    for way, rows in found.items():
        cells = (f"{statistics.median(column):.2f}" for column in zip(*rows, strict=True))
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one round of one step")
    parser.add_argument("--way", choices=WAYS, help="measure one way, in this process")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    if args.way:
        print(*measure(args.way, args.steps))
    else:
        main(*(1, 1) if args.smoke else (ROUNDS, args.steps))
