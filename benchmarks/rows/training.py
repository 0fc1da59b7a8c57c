"""Parts of training that million_rows.py measures: the order of an epoch, and the workers of a loader.

python benchmarks/rows/training.py PART ROWS HELD_OUT MEMBERS        # in the folder of the project
"""

import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import psutil

from pipeline.clips.dataset import TrainDataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.loader import EpochSampler, loader
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig
from pipeline.core.manifest import Manifest

BATCH, WORKERS = 128, 4


def draw_epoch(rows: int, held_out: int, _: int) -> None:
    """Draw the order of a whole epoch of training."""
    batches = sum(1 for _ in EpochSampler(rows - 2 * held_out, BATCH, seed=0))
    print(f"> {batches:,} batches")


def load_clips(*_: int) -> None:
    """Start the workers of a loader, and say what memory is a worker's own then, and after some batches."""
    train = Manifest.read(Path("data/manifest.tsv"), Path("data/classes.txt")).split("train")
    store = FrameStore(Path("data/lmdb"))
    train = train.without(video for video in train.videos if video not in store)
    augment = AugmentConfig("scale_jitter", 32, ratios=(1.0,), flip=False)
    dataset = TrainDataset(train, store, SamplerConfig("segments", 1), augment, seed=0)
    start = time.perf_counter()
    sampler = EpochSampler(len(train), BATCH, seed=0)
    batches = iter(loader(dataset, WORKERS, pin=False, batch_sampler=sampler))
    next(batches)
    seconds, first = time.perf_counter() - start, _own_memory()
    some = sum(1 for _ in islice(batches, min(400, len(sampler) // 2)))
    print(
        f"> {WORKERS} workers; first batch after {seconds:.1f} s; "
        f"a worker's own memory {first:.0f} MiB then, {_own_memory():.0f} MiB {some} batches of {BATCH} later"
    )


def _own_memory() -> float:
    """Mean memory in MiB that a worker shares with nobody."""
    return float(np.mean([one.memory_full_info().uss for one in psutil.Process().children()])) / 2**20


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
