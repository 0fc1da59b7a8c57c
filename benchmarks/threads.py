"""What waiting threads cost: a training step of the demo's TSM with threads that spin, doze off soon, or sleep.

    python benchmarks/threads.py        # --smoke: one step of one clip

Each figure is the median of 15 steps with 2 threads in a process of its own: alone, and beside one process that keeps a
core busy, as a worker that loads clips does.
"""

import os
import subprocess
import sys
from pathlib import Path

STEP = """
import statistics, sys, time, torch
from pipeline.models import tsm
torch.set_num_threads(2)
net = {"stem_width": 8, "channels": [16, 32, 64, 128]}
model = tsm.build(12, backbone="resnet10t", backbone_options=net, frames=8)
clips, steps = map(int, sys.argv[1:])
clip, times = torch.randn(clips, 3, 8, 48, 48), []
for _ in range(3 + steps):
    start = time.perf_counter()
    model(clip).sum().backward()
    times.append(time.perf_counter() - start)
print(statistics.median(times[3:]))
"""
BUSY = "while True: pass"
SIZE = ("1", "1") if "--smoke" in sys.argv else ("16", "15")
"""Clips of a step, and steps."""
SPINS = ("2000", "0", "300000")  # what the stages set, none, and GNU's own default


def step_seconds(spins: str) -> float:
    environment = {**os.environ, "GOMP_SPINCOUNT": spins, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", STEP, *SIZE], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def compare(label: str) -> None:
    times = [step_seconds(spins) for spins in SPINS]
    print(f"{label:22}" + "".join(f"{1000 * t:9.0f} ms {t / times[0]:5.2f}" for t in times))


if __name__ == "__main__":
    print(f"{'GOMP_SPINCOUNT':22}" + "".join(f"{spins:>12} {'ratio':>5}" for spins in SPINS))
    compare("machine idle")
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        compare("one other process")
    finally:
        busy.kill()
