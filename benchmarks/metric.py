"""Sample mAP of 10,000 videos and 313 classes on one core, and scikit-learn's, called video by video.

    python benchmarks/metric.py

The best of five runs; the last column is how many times faster ours is.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import average_precision_score

from pipeline import metrics

VIDEOS, CLASSES = 10_000, 313


def seconds(figure: Callable[[np.ndarray, np.ndarray], float], scores: np.ndarray, targets: np.ndarray) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        figure(scores, targets)
        times.append(time.perf_counter() - start)
    return min(times)


def by_scikit_learn(scores: np.ndarray, targets: np.ndarray) -> float:
    return 100 * float(np.mean([average_precision_score(t, s) for t, s in zip(targets, scores, strict=True)]))


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    scores = rng.random((VIDEOS, CLASSES), dtype=np.float32)
    targets = (rng.random((VIDEOS, CLASSES)) < 2 / CLASSES).astype(np.uint8)
    targets[np.arange(VIDEOS), rng.integers(CLASSES, size=VIDEOS)] = 1
    ours, theirs = seconds(metrics.sample_map, scores, targets), seconds(by_scikit_learn, scores, targets)
    print(f"{'sample mAP, 10,000 x 313':26}{'ours':>10}{'scikit-learn':>15}{'ratio':>8}")
    print(f"{'float32, one core':26}{ours:8.3f} s{theirs:13.2f} s{theirs / ours:8.0f}")
