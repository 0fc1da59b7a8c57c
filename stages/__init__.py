"""One thin script per stage of dvc.yaml: read a section, call one function, say what came of it."""

import os
import sys

# PyTorch's threads spin while they wait for one another, and so take the core that the other thread, or a worker that
# loads clips, needs to go on. To spin briefly and then sleep costs an idle machine little and saves a busy one much;
# benchmarks/threads.py measures both. GNU's OpenMP reads this when PyTorch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "10")  # seconds between two lines of a progress bar that goes to a file
