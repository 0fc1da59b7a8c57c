"""Label counts of the training split: how many videos a class has, and the weights and prior that follow.

The report (section 5) prints two loss weights, sqrt(N_i / N_mean) and N_i / N_mean, which favour FREQUENT classes;
the usual intent is the inverse. Both forms are computed, under their own names.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import files
from pipeline.core.errors import UserError

CLASSES = "classes.csv"
COOCCURRENCE = "cooccurrence.csv"
SUMMARY = "summary.json"
LABELS_PER_VIDEO = "labels_per_video.csv"


@dataclass(frozen=True)
class ClassStatistics:
    """What the training split says of each class."""

    classes: tuple[str, ...]
    counts: np.ndarray
    """N_i: videos that bear the class, int64 (C,)."""
    videos: int
    """Videos of the training split that gave frames."""

    @property
    def prior(self) -> np.ndarray:
        """Share of the videos that bear each class, float64 (C,): the score of a video that nobody can see."""
        return self.counts / self.videos

    def weights(self) -> dict[str, np.ndarray]:
        """Loss weights (C,) by name: the report's two formulas and their inverses."""
        linear = self.counts / self.counts.mean()
        return {
            "sqrt": np.sqrt(linear),
            "linear": linear,
            "inverse_sqrt": 1 / np.sqrt(linear),
            "inverse_linear": 1 / linear,
        }

    @classmethod
    def read(cls, folder: Path) -> "ClassStatistics":
        """Read what `write` wrote."""
        if not (folder / SUMMARY).is_file():
            raise UserError(f"{folder / SUMMARY} does not exist. `dvc repro stats` makes it.")
        table = pd.read_csv(folder / CLASSES, keep_default_na=False, dtype={"class": str})
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return cls(tuple(table["class"]), table["videos"].to_numpy(dtype=np.int64), int(summary["train_videos"]))


def count(targets: np.ndarray, classes: tuple[str, ...]) -> ClassStatistics:
    """Statistics of many-hot labels (V, C).

    Raises:
        UserError: a class has no video left.
    """
    counts = targets.sum(axis=0, dtype=np.int64)
    if (counts == 0).any():
        names = [name for name, n in zip(classes, counts, strict=True) if n == 0]
        raise UserError(
            f"Every train video labelled {', '.join(map(repr, names[:5]))} is broken (see the ledger). "
            "Mend the files, or drop the class, then `dvc repro`."
        )
    return ClassStatistics(classes, counts, len(targets))


def write(folder: Path, targets: np.ndarray, classes: tuple[str, ...], expected: int) -> ClassStatistics:
    """Write the statistics of the training split's many-hot labels (V, C); `expected` counts broken videos too."""
    statistics = count(targets, classes)
    per_video = targets.sum(axis=1, dtype=np.int64)
    pairs = targets.astype(np.int64).T @ targets.astype(np.int64)
    with files.aside(folder) as partial:
        partial.mkdir()
        columns = {"class": classes, "videos": statistics.counts, "prior": statistics.prior}
        weights = {f"weight_{name}": values for name, values in statistics.weights().items()}
        _csv(partial / CLASSES, pd.DataFrame({**columns, **weights}))
        table = pd.DataFrame(pairs, columns=list(classes))
        table.insert(0, "class", list(classes), allow_duplicates=True)  # a class may itself be called so
        _csv(partial / COOCCURRENCE, table)
        sizes = np.bincount(per_video)
        _csv(partial / LABELS_PER_VIDEO, pd.DataFrame({"labels": np.arange(len(sizes)), "videos": sizes}))
        summary = {
            "train_videos": len(targets),
            "train_videos_broken": expected - len(targets),
            "classes": len(classes),
            "videos_per_class_mean": float(statistics.counts.mean()),
            "videos_per_class_min": int(statistics.counts.min()),
            "videos_per_class_max": int(statistics.counts.max()),
            "labels_per_video_mean": float(per_video.mean()),
            "labels_per_video_max": int(per_video.max()),
        }
        files.write_json(partial / SUMMARY, summary)
    return statistics


def _csv(path: Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n"))
