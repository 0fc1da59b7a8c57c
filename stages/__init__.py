"""One thin script per stage of dvc.yaml: read a section, call one function, say what came of it."""

import os

# PyTorch's threads spin while they wait for one another, and so take the core that the other thread, or a worker that
# loads clips, needs to go on. To spin briefly and then sleep costs an idle machine little and saves a busy one much;
# benchmarks/threads.py measures both. GNU's OpenMP reads this when PyTorch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
