"""Runs of two models on eight videos, small enough to read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.core import checksums
from pipeline.predictions.table import PredictionTable

CLASSES = ("run", "jump", "fly")
LABELS = ("run", "run", "jump", "jump", "fly", "fly", "run", "jump")
SETTINGS = {
    "models": {"net": {"train": {"lr": 0.1, "seed": 0, "sides": [64, 80]}, "arch": "tsn"}},
    "dataset": {"root": "videos"},
}


def table(answers: str, labels: tuple[str, ...] = LABELS, classes: tuple[str, ...] = CLASSES) -> PredictionTable:
    """Single-label answers: the first letter of the class of each video."""
    scores = np.full((len(answers), len(classes)), 0.1, np.float32)
    for row, letter in enumerate(answers):
        scores[row, [name[0] for name in classes].index(letter)] = 0.8
    videos = tuple(f"{row}.mp4" for row in range(len(answers)))
    meta = {"model": "net", "protocol": "multiscale", "task": "single_label"}
    return PredictionTable(videos, np.zeros(len(answers), bool), labels, classes, scores, meta)


def write(folder: Path, answers: str, settings: dict = SETTINGS, **tables: PredictionTable) -> Path:
    """A folder as a run leaves it: `answers` are those of the ensemble on test."""
    for place, one in {
        "data/ensemble": table(answers),
        **{f"data/predictions/{k}": v for k, v in tables.items()},
    }.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        one.write(folder / place / "test.parquet")
        checksums.seal(folder / place)
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "x", "deps": [{"path": "pipeline/core", "md5": "a" * 32}]}}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    rows = [f"{n}.mp4\ttest\t{n}.mp4\t{label}\t1-a" for n, label in enumerate(LABELS)]
    (folder / "data/manifest.tsv").write_text("\n".join(["video\tsplit\tpath\tlabels\tfingerprint", *rows, ""]))
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """`write`, into a folder of a name."""
    return lambda name, *args, **options: write(tmp_path / name, *args, **options)
