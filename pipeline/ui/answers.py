"""What one model says of the videos of val and test, laid out so that one class or one video is read without the rest.

A prediction file is read once. Its scores then lie in the scratch folder as a matrix of classes x videos, of which
memory holds only what is looked at, under the hash of the file; in memory are a few numbers a video.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq

from pipeline.core import checksums, files, task
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task
from pipeline.predictions.table import SPLITS, PredictionTable, read_meta

NONE = -1
"""The class of a video without an answer."""
_BLOCK = 64
"""Classes that are handled at a time."""
_FORM = 2
"""Another number makes all matrices anew."""


@dataclass(frozen=True)
class Answers:
    """What one model says of A videos, of C classes."""

    model: str
    scores: np.ndarray
    """float32 (C, A) on disk: the probabilities, or shares of ranks where an ensemble fuses those."""
    best: np.ndarray
    """int32 (A,): the class with the highest score; `NONE` where its row holds the prior, as of a broken video."""
    highest: np.ndarray
    """float32 (A,): its score; NaN where there is none."""
    meta: Mapping[str, Any]
    """What the prediction files say of themselves, plain values."""

    @classmethod
    def read(cls, folder: Path, model: str, manifest: Manifest, scratch: Path) -> "Answers":
        """Read the prediction files of a folder; the videos are those of val, then of test.

        Args:
            folder: holds `val.parquet` and `test.parquet`.
            manifest: the videos that they must speak of.
            scratch: where the matrix is looked for, and laid.

        Raises:
            UserError: a file is missing, damaged, or of other videos or classes than the manifest.
        """
        paths = [folder / f"{split}.parquet" for split in SPLITS]
        key = [_FORM, [_hash(path) for path in paths], files.fingerprint(manifest.videos, manifest.classes)]
        place = files.folder_of(scratch, model, *key)
        for old in files.others(place):
            files.remove(old)
        if not place.is_dir():
            _lay_out([_table(path, manifest.split(split)) for path, split in zip(paths, SPLITS, strict=True)], place)
        scores = np.load(place / "scores.npy", mmap_mode="r")
        meta = read_meta(pq.read_schema(paths[0]), paths[0])
        return cls(model, scores, np.load(place / "best.npy"), np.load(place / "highest.npy"), meta)

    @property
    def task(self) -> Task:
        """Whether the scores are of one of several classes, or of each class by itself."""
        return task.read(self.meta, self.model)

    @property
    def fuses_ranks(self) -> bool:
        """Whether the scores are shares of ranks, and no probabilities."""
        return self.meta.get("mean") == "rank"

    def lowest_of(self, videos: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The lowest score of a label of each video, float32 (A,); NaN where it has no label or no answer.

        Args:
            videos: int (L,), the number among the A of the video of a label.
            classes: int (L,), the number of the class of that label.
        """
        lowest = np.full(len(self.best), np.inf, np.float32)
        order = np.argsort(classes, kind="stable")  # a class of the matrix lies in one piece
        np.minimum.at(lowest, videos[order], self.scores[classes[order], videos[order]])
        return np.where(np.isinf(lowest) | (self.best == NONE), np.nan, lowest).astype(np.float32)


def disagreement(members: Sequence[Answers], scratch: Path) -> np.ndarray:
    """How far the members' scores of a video lie apart, float32 (A,) in 0..1; NaN where fewer than two answer it.

    It is the range of the members' scores (highest less lowest) in the class where that is widest. A member that cannot
    see the video is left out.
    """
    if len(members) < 2:
        return np.full(len(members[0].best) if members else 0, np.nan, np.float32)
    place = files.folder_of(scratch, "disagreement", _FORM, [files.fingerprint(_name(one)) for one in members])
    for old in files.others(place):
        files.remove(old)
    if not place.is_dir():
        with files.aside(place) as partial:
            partial.mkdir()
            np.save(partial / "widest.npy", _widest_range(members))
    found: np.ndarray = np.load(place / "widest.npy")
    return found


def _name(one: Answers) -> str:
    """The name of the folder of a model's matrix, which has the hash of its content."""
    return Path(one.scores.filename).parent.name  # type: ignore[attr-defined] # of a memory map


def _widest_range(members: Sequence[Answers]) -> np.ndarray:
    answered = np.stack([one.best != NONE for one in members])
    widest = np.zeros(len(members[0].best), np.float32)
    for number in range(len(members[0].scores)):
        rows = np.stack([one.scores[number] for one in members])
        highest = rows.max(axis=0, where=answered, initial=-np.inf)
        np.maximum(widest, highest - rows.min(axis=0, where=answered, initial=np.inf), out=widest)
    widest[answered.sum(axis=0) < 2] = np.nan
    return widest


def _hash(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path} does not exist. `dvc repro` makes it.")
    found = files.file_hash(path)
    checksums.check(path, found)
    return found


def _table(path: Path, manifest: Manifest) -> PredictionTable:
    table = PredictionTable.read(path)
    if list(table.videos) != manifest.videos or table.classes != manifest.classes:
        raise UserError(
            f"{path} holds other videos or classes than the manifest. `dvc repro` makes it again; delete {path.parent} "
            "if no stage makes that any more."
        )
    return table


def _lay_out(tables: Sequence[PredictionTable], place: Path) -> None:
    """Write the scores, the best classes and the highest scores into a new folder, all or nothing."""
    blind = np.concatenate([~table.seen for table in tables])
    best = np.concatenate([table.probabilities.argmax(axis=1) for table in tables])
    highest = np.concatenate([table.probabilities.max(axis=1) for table in tables])
    with files.aside(place) as partial:
        partial.mkdir(parents=True)
        np.save(partial / "best.npy", np.where(blind, NONE, best).astype(np.int32))
        np.save(partial / "highest.npy", np.where(blind, np.nan, highest).astype(np.float32))
        with (partial / "scores.npy").open("wb") as file:  # and no memory map: on a full disk, writing to one is fatal
            _write_by_class([table.probabilities for table in tables], file)


def _write_by_class(parts: Sequence[np.ndarray], file: BinaryIO) -> None:
    """Write matrices (videos, C), one below the other, as one array (C, A)."""
    classes, videos = parts[0].shape[1], sum(map(len, parts))
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (classes, videos)})
    for start in range(0, classes, _BLOCK):
        block = np.concatenate([part[:, start : start + _BLOCK] for part in parts])
        file.write(np.ascontiguousarray(block.T).astype("<f4", copy=False).tobytes())
