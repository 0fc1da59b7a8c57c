"""Time of a training step on a CPU where the C library gives freed memory back to the kernel, and where it keeps it.

    python benchmarks/allocator.py

Each way runs in a process of its own, in turns: EfficientNet-Lite0, 64 frames of 96 pixels, one thread.
"""

import resource
import statistics
import subprocess
import sys
import time

import timm
import torch

from pipeline.runtime.allocator import keep_freed_memory

ROUNDS, STEPS, WARM_UP = 3, 10, 2
WAYS = ("given back", "kept")


def measure(way: str) -> tuple[float, float, float]:
    """Seconds of wall time, of CPU time in the program and of CPU time in the kernel that a step takes."""
    if way == "kept":
        keep_freed_memory()
    torch.set_num_threads(1)
    network = timm.create_model("tf_efficientnet_lite0").to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    frames = torch.randn(64, 3, 96, 96).to(memory_format=torch.channels_last)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        optimizer.zero_grad(set_to_none=True)
        network(frames).square().mean().backward()
        optimizer.step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = time.perf_counter() - start, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return spent[0] / STEPS, spent[1] / STEPS, spent[2] / STEPS


def main() -> None:
    """Print the medians of both ways."""
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            done = subprocess.run([sys.executable, __file__, way], capture_output=True, check=True, text=True)
            found[way].append([float(word) for word in done.stdout.split()])
    print("| freed memory | wall s | CPU s, program | CPU s, kernel |\n|---|---:|---:|---:|")
    for way, rows in found.items():
        cells = (f"{statistics.median(column):.2f}" for column in zip(*rows, strict=True))
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*measure(sys.argv[1]))
    else:
        main()
