"""One thin script per stage of dvc.yaml: read a section, call one function, say what came of it."""

import importlib.util
import os
import sys

if sys.version_info < (3, 11) or importlib.util.find_spec("lightning_fabric") is None:  # any of the packages would do
    sys.exit(
        f"error: {sys.executable} is not the Python of this project: it is older than 3.11, or has none of the "
        "packages. `make install`, then `source .venv/bin/activate`, and the same command again."
    )

# PyTorch's threads spin while they wait for one another, and so take the core that the other thread, or a worker that
# loads clips, needs to go on. To spin briefly and then sleep costs an idle machine little and saves a busy one much;
# benchmarks/threads.py measures both. GNU's OpenMP reads this when PyTorch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
