"""Class statistics of the training split: videos of each class, class weights for the loss, and the class prior.

The report (section 5) prints two class weights, sqrt(N_i / N_mean) and N_i / N_mean, which favour FREQUENT classes;
the usual intent is the inverse. Both forms are computed, under their own names.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import checksums, files
from pipeline.core.errors import UserError

CLASSES = "classes.csv"
COOCCURRENCE = "cooccurrence.csv"
SUMMARY = "summary.json"
LABELS_PER_VIDEO = "labels_per_video.csv"


@dataclass(frozen=True)
class ClassStatistics:
    """Counts of the training split's C classes."""

    classes: tuple[str, ...]
    counts: np.ndarray
    """Number of videos with each class, N_i: int64 (C,)."""
    videos: int
    """Number of videos of the training split, without broken ones."""

    @property
    def prior(self) -> np.ndarray:
        """Share of the videos with each class, 0..1, float64 (C,): the scores that a broken video is given."""
        return self.counts / self.videos

    def class_weights(self) -> dict[str, np.ndarray]:
        """Class weights of the loss by name: the report's two formulas and their inverses, float64 (C,) each."""
        linear = self.counts / self.counts.mean()
        return {
            "sqrt": np.sqrt(linear),
            "linear": linear,
            "inverse_sqrt": 1 / np.sqrt(linear),
            "inverse_linear": 1 / linear,
        }

    @classmethod
    def read(cls, folder: Path) -> "ClassStatistics":
        """Read the folder that `write` wrote.

        Raises:
            UserError: there is no such folder, or it is damaged.
        """
        if not (folder / SUMMARY).is_file():
            raise UserError(f"{folder / SUMMARY} does not exist. `dvc repro stats` makes it.")
        for name in (CLASSES, SUMMARY):
            checksums.check(folder / name)
        try:
            table = pd.read_csv(folder / CLASSES, keep_default_na=False, dtype={"class": str, "videos": np.int64})
            videos = int(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["train_videos"])
            return cls(tuple(table["class"]), table["videos"].to_numpy(), videos)
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"{folder} cannot be read ({error!r}). `dvc repro --force stats` makes it again."
            ) from error


def count(targets: np.ndarray, classes: tuple[str, ...]) -> ClassStatistics:
    """Class statistics of many-hot labels (V, C), without broken videos.

    Raises:
        UserError: every video of a class is broken.
    """
    counts = targets.sum(axis=0, dtype=np.int64)
    if (counts == 0).any():
        names = [name for name, n in zip(classes, counts, strict=True) if n == 0]
        raise UserError(
            f"Every train video labelled {', '.join(map(repr, names[:5]))} is broken (see broken.tsv). "
            "Mend the files, or drop the class, then `dvc repro`."
        )
    return ClassStatistics(classes, counts, len(targets))


def write(folder: Path, targets: np.ndarray, classes: tuple[str, ...], expected: int) -> ClassStatistics:
    """Write the class statistics into a folder: class counts and weights, co-occurrence, labels per video, a summary.

    Args:
        folder: written as a whole or not at all.
        targets: many-hot labels (V, C) of the training split, without broken videos.
        classes: names of the C classes.
        expected: number of videos of the training split, broken ones included.

    Raises:
        UserError: every video of a class is broken.
    """
    statistics = count(targets, classes)
    per_video = targets.sum(axis=1, dtype=np.int64)
    pairs = targets.astype(np.int64).T @ targets.astype(np.int64)
    with files.aside(folder) as partial:
        partial.mkdir()
        columns = {"class": classes, "videos": statistics.counts, "prior": statistics.prior}
        weights = {f"weight_{name}": values for name, values in statistics.class_weights().items()}
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
        checksums.seal(partial)
    return statistics


def _csv(path: Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n"))
