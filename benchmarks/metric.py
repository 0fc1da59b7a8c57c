"""Sample mAP of 10,000 videos and 313 classes on one core, against scikit-learn's.

    python benchmarks/metric.py        # --smoke: 100 videos

`label_ranking_average_precision_score` is the same metric; `average_precision_score` gives it when it is called video
by video. CPU seconds, the least of five runs; the ratio is how many times quicker `pipeline.metrics.sample_map` is.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from pipeline import metrics

VIDEOS, CLASSES = 100 if "--smoke" in sys.argv else 10_000, 313


def seconds(metric: Callable[[np.ndarray, np.ndarray], float], scores: np.ndarray, targets: np.ndarray) -> float:
    times = []
    for _ in range(5):
        start = time.process_time()
        metric(scores, targets)
        times.append(time.process_time() - start)
    return min(times)


def label_ranking(scores: np.ndarray, targets: np.ndarray) -> float:
    return 100 * float(label_ranking_average_precision_score(targets, scores))


def video_by_video(scores: np.ndarray, targets: np.ndarray) -> float:
    return 100 * float(np.mean([average_precision_score(t, s) for t, s in zip(targets, scores, strict=True)]))


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    scores = rng.random((VIDEOS, CLASSES), dtype=np.float32)
    targets = (rng.random((VIDEOS, CLASSES)) < 2 / CLASSES).astype(np.uint8)
    targets[np.arange(VIDEOS), rng.integers(CLASSES, size=VIDEOS)] = 1
    ours = seconds(metrics.sample_map, scores, targets)
    print(f"{f'sample mAP, {VIDEOS:,} x {CLASSES}':40}{'CPU s':>8}{'ratio':>8}")
    print(f"{'pipeline.metrics.sample_map':40}{ours:8.3f}{1:8}")
    for name, theirs in (
        ("label_ranking_average_precision_score", label_ranking),
        ("average_precision_score, video by video", video_by_video),
    ):
        needed = seconds(theirs, scores, targets)
        print(f"{name:40}{needed:8.3f}{needed / ours:8.0f}")
    difference = abs(metrics.sample_map(scores, targets) - label_ranking(scores, targets)) / 100
    print(f"{'difference from the former, of 1':40}{difference:16.0e}")
