"""Class statistics of the training split: videos of each class, class weights for the loss, and the class prior.

The report (section 5) prints two class weights, sqrt(N_i / N_mean) and N_i / N_mean, which favour FREQUENT classes;
the usual intent is the inverse. Both forms are computed, under their own names.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest

CLASSES = "classes.csv"
COOCCURRENCE = "cooccurrence.csv"
KNOWN = "known"
"""Column of `CLASSES` that is there where it is not known of every video whether it has every class."""
SUMMARY = "summary.json"
LABELS_PER_VIDEO = "labels_per_video.csv"
_LABELS_AT_ONCE = 1_000_000
"""Labels whose company is counted together, which bounds the memory."""


@dataclass(frozen=True)
class ClassStatistics:
    """Counts of the training split's C classes."""

    classes: tuple[str, ...]
    counts: np.ndarray
    """Number of videos with each class, N_i: int64 (C,)."""
    videos: int
    """Number of videos of the training split, without broken ones."""
    known: np.ndarray | None = None
    """Number of these of which it is known whether they have each class: int64 (C,); None: all of them."""

    @property
    def prior(self) -> np.ndarray:
        """Share of the known videos with each class, 0..1, float64 (C,): the scores that a broken video is given."""
        return self.counts / (self.videos if self.known is None else self.known)

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
            known = table[KNOWN].to_numpy(np.int64) if KNOWN in table else None
            return cls(tuple(table["class"]), table["videos"].to_numpy(), videos, known)
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"{folder} cannot be read ({error!r}). `dvc repro --force stats` makes it again."
            ) from error


def count(good: Manifest) -> ClassStatistics:
    """Class statistics of the videos of a manifest, of which none is broken.

    Raises:
        UserError: no video is left of a class.
    """
    _, column = _labels(good)
    counts = np.bincount(column, minlength=len(good.classes)).astype(np.int64)
    if (counts == 0).any():
        names = [name for name, n in zip(good.classes, counts, strict=True) if n == 0]
        raise UserError(
            f"Every train video labelled {', '.join(map(repr, names[:5]))} is broken (see broken.tsv). "
            "Mend the files, or drop the class, then `dvc repro`."
        )
    _, unknown = good.unknown_pairs()
    known = len(good) - np.bincount(unknown, minlength=len(good.classes)).astype(np.int64) if len(unknown) else None
    return ClassStatistics(good.classes, counts, len(good), known)


def write(folder: Path, good: Manifest, expected: int) -> ClassStatistics:
    """Write the class statistics into a folder: class counts and weights, co-occurrence, labels per video, a summary.

    Args:
        folder: written as a whole or not at all.
        good: the videos of the training split that gave frames.
        expected: number of videos of the training split, broken ones included.

    Raises:
        UserError: every video of a class is broken.
    """
    statistics = count(good)
    row, column = _labels(good)
    per_video = np.bincount(row, minlength=len(good))
    with files.aside(folder) as partial:
        partial.mkdir()
        columns = {"class": good.classes, "videos": statistics.counts, "prior": statistics.prior}
        columns |= {} if statistics.known is None else {KNOWN: statistics.known}
        weights = {f"weight_{name}": values for name, values in statistics.class_weights().items()}
        _csv(partial / CLASSES, pd.DataFrame({**columns, **weights}))
        _csv(partial / COOCCURRENCE, _together(row, column, good.classes))
        sizes = np.bincount(per_video)
        _csv(partial / LABELS_PER_VIDEO, pd.DataFrame({"labels": np.arange(len(sizes)), "videos": sizes}))
        summary = {
            "train_videos": len(good),
            "train_videos_broken": expected - len(good),
            "classes": len(good.classes),
            "videos_per_class_mean": float(statistics.counts.mean()),
            "videos_per_class_min": int(statistics.counts.min()),
            "videos_per_class_max": int(statistics.counts.max()),
            "labels_per_video_mean": float(per_video.mean()),
            "labels_per_video_max": int(per_video.max()),
        }
        files.write_json(partial / SUMMARY, summary)
        checksums.seal(partial)
    return statistics


def _labels(good: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Row and class number of each label, int64 (L,) each, in the order of the videos and then of the classes."""
    row, column = good.label_pairs()
    return np.divmod(np.unique(row.astype(np.int64) * len(good.classes) + column), len(good.classes))


def _together(row: np.ndarray, column: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """A row for each two classes that some video has both of: class, other, videos; in the order of the classes.

    The labels are in the order of `_labels`.
    Of 10,000 classes hardly any two stand together, and a square table would have 100 million cells.
    """
    wide = len(classes)
    known, videos = np.empty(0, np.int64), np.empty(0, np.int64)
    for block in np.array_split(np.arange(len(row)), 1 + len(row) // _LABELS_AT_ONCE):
        found = []
        for ahead in range(1, 1 + len(row)):  # each label with the one that comes so many behind it in its video
            first = block[block + ahead < len(row)]
            first = first[row[first] == row[first + ahead]]
            if not len(first):
                break
            found.append(column[first] * wide + column[first + ahead])
        known, inverse = np.unique(np.concatenate([known, *found]), return_inverse=True)
        weight = np.concatenate([videos, np.ones(len(inverse) - len(videos), np.int64)])
        videos = np.bincount(inverse, weight, len(known)).astype(np.int64)
    names = np.array(classes, dtype=object)
    return pd.DataFrame({"class": names[known // wide], "other": names[known % wide], "videos": videos})


def _csv(path: Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n"))
