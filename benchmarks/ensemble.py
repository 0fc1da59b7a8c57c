"""The whole search for an ensemble, as the stage runs it: time and peak memory.

    python benchmarks/ensemble.py        # --smoke: 3 members, 200 videos, 20 classes

14 members, 10,000 videos and 313 classes of made-up scores, correlated as those of trained networks are: members of
49 to 57 % sample mAP whose mean has 61 %. For each setting the seconds, the seconds of CPU and the peak memory of a
process of its own (the scores themselves are 0.16 GiB), then the variants that it compared.
"""

import os
import subprocess
import sys
from pathlib import Path

SEARCH = """
import resource, sys, time
import numpy as np
from pipeline.ensemble import cross_validate
from pipeline.ensemble.config import EnsembleConfig

M, V, C = map(int, sys.argv[3:])
rng = np.random.default_rng(0)
prior = rng.permutation(1 / np.arange(3, C + 3) ** 0.7)
prior /= prior.sum()
targets = np.zeros((V, C), dtype=np.uint8)
for row, count in zip(targets, 1 + np.minimum(7, rng.poisson(1.2, size=V))):
    row[rng.choice(C, size=count, replace=False, p=prior)] = 1
shared = 0.6 * np.log(2.2 * prior / (1 - prior)) - 1 + 1.4 * rng.normal(size=(V, C))  # what is hard is so for all
probabilities = np.empty((M, V, C), dtype=np.float32)
for number, member in enumerate(probabilities):
    logits = (3.5 + 0.4 * number / M) * targets + shared + 0.7 * rng.normal(size=(V, C))
    member[:] = 1 / (1 + np.exp(-logits))
config = EnsembleConfig(
    members=tuple(f"m{i}" for i in range(M)), protocol="dense", weights=sys.argv[1], mean=sys.argv[2], given=None,
    subsets={"first_ten": ("m?",)}, starts=8, shrinkage=1000.0, folds=5, resamples=1000, seed=0, top=5,
)
start, busy = time.perf_counter(), time.process_time()
selection = cross_validate.select(config, probabilities, targets)
seconds, busy = time.perf_counter() - start, time.process_time() - busy
busy += sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
own, child = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = own + 2 * child  # at most: children share what they do not write
print(f"{' '.join(sys.argv[1:3]):22}{seconds:8.1f}{busy:8.1f}{peak:8.2f}")
for v in selection.variants:
    print(f"    {v.rule:10} {v.mean:12} fitted {100 * v.fitted.mean():.2f}  cross-fitted {v.figure:.2f}", end="")
    print("  used" * (v is selection.used))
"""

if __name__ == "__main__":
    print(f"{'weights, mean':22}{'seconds':>8}{'CPU s':>8}{'GiB':>8}", flush=True)
    for asked in (("uniform", "probability"), ("fitted", "probability"), ("best", "best")):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        size = ("3", "200", "20") if "--smoke" in sys.argv else ("14", "10000", "313")
        subprocess.run([sys.executable, "-c", SEARCH, *asked, *size], env=environment, check=True)
