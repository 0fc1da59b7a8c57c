"""Whether bf16 learns what float32 learns: val mAP of tsm_demo, trained on clips of the built-in corpus.

The clips are drawn here and packed without FFmpeg, at the size at which they are drawn. Two seeds, since runs differ.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg
import torch
from gpu_parts.report import Report
from gpu_parts.steps import Way, machine

from pipeline import class_stats
from pipeline.class_stats import ClassStatistics
from pipeline.clips import frame_store, lmdb_pages
from pipeline.clips.frame_store import FrameStore
from pipeline.core import frame_index, tsv
from pipeline.core.machine import parallel
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.task import MULTI_LABEL
from pipeline.demo import clip as demo
from pipeline.runtime import signals
from pipeline.training.config import ModelConfig
from pipeline.training.trainer import Trainer

SPLITS = ("train", "val", "test")
Corpus = tuple[Manifest, FrameStore, ClassStatistics]


def draw(folder: Path, train: int, val: int, workers: int) -> Corpus:
    """The first clips of the built-in corpus, packed; one of test, since a manifest has some."""
    numbers = [(split, index) for split, count in zip(SPLITS, (train, val, 1), strict=True) for index in range(count)]
    drawn = list(parallel(partial(_draw, seed=0), numbers, workers))
    records, values = zip(*drawn, strict=True)
    manifest = _manifest(records)
    folder.mkdir()
    frame_store.write_shard(folder / "shard-00000.lmdb", sorted(values))
    lmdb_pages.write(folder)
    rows = sorted((video, "shard-00000", demo.FRAMES, demo.WIDTH, demo.HEIGHT) for video, _ in values)
    frame_index.write_packed(folder / frame_index.FILE, pd.DataFrame(rows, columns=list(frame_index.PACKED_COLUMNS)))
    tsv.write(folder / frame_store.SHARDS, pd.DataFrame({"shard": ["shard-00000"], "key": ["0"]}))
    return manifest, FrameStore(folder), class_stats.count(manifest.split("train"))


def _manifest(records: Sequence[VideoRecord]) -> Manifest:
    """The clips, with the classes that some clip of train shows."""
    seen = {label for record in records if record.split == "train" for label in record.labels.split(";")}
    kept = [
        record._replace(labels=";".join(label for label in record.labels.split(";") if label in seen))
        for record in records
    ]
    return Manifest.from_records(kept, [name for name in demo.CLASSES if name in seen])


def _draw(number: tuple[str, int], seed: int) -> tuple[VideoRecord, tuple[str, bytes]]:
    """A clip's row of the manifest, and its frames."""
    split, index = number
    name = f"{split}_{index:04d}"
    scene = demo.draw_clip(np.random.default_rng([seed, SPLITS.index(split), index]))
    jpegs = [simplejpeg.encode_jpeg(frame, quality=90) for frame in demo.render_clip(scene)]
    record = VideoRecord(name, split, f"{name}.mp4", ";".join(scene.labels), "1-x")
    return record, (name, frame_store.encode(jpegs, demo.WIDTH, demo.HEIGHT))


def trained(config: ModelConfig, corpus: Corpus, way: Way, device: torch.device, workers: int) -> tuple[float, float]:
    """The best val mAP in percent, and the last epoch's loss."""
    with tempfile.TemporaryDirectory() as scratch, signals.listen() as request:
        trainer = Trainer(config, *corpus, machine(device, way, scratch, workers), "agreement", MULTI_LABEL, None)
        state = trainer.restore()
        while len(state.history) < trainer.epochs:
            for _ in trainer.epoch(state, request):
                pass
            trainer.end_epoch(state, *trainer.validate(state))
    return max(row["val_mAP"] for row in state.history), state.history[-1]["loss"]


def measure(
    report: Report, device: torch.device, config: ModelConfig, sizes: tuple[int, int], seeds: int, workers: int
) -> None:
    """Train with each kind and seed; one line each."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = draw(Path(folder) / "lmdb", *sizes, workers or 16)
        for seed in range(seeds):
            for kind in ("32", "bf16"):
                if report.has_time(f"training of tsm_demo in {kind}, seed {seed}", 45):
                    this = dataclasses.replace(config, train=dataclasses.replace(config.train, seed=seed))
                    score, loss = trained(this, corpus, Way(kind), device, workers)
                    report.add("trained tsm_demo", kind=kind, seed=seed, val_map=score, last_loss=loss)
