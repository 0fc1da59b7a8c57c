"""All videos of a finished run, in columns, so that a filter over a million of them is a few operations on arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.broken_videos import BrokenVideo, read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.segments import COLUMNS, Segment
from pipeline.predictions.table import SPLITS as TESTED
from pipeline.ui.answers import NONE, Answers, disagreement

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Labels:
    """Classes of V videos: those of video v are `classes[begin[v]:begin[v + 1]]`."""

    begin: np.ndarray
    """int (V + 1,)."""
    classes: np.ndarray
    """int32 (L,)."""

    @classmethod
    def of(cls, pairs: tuple[np.ndarray, np.ndarray], videos: int) -> "Labels":
        """Those of pairs of a video and a class, in the order of the videos, as `Manifest.label_pairs` gives them."""
        rows, classes = pairs
        return cls(np.searchsorted(rows, np.arange(videos + 1)), classes.astype(np.int32))

    def __getitem__(self, video: int) -> np.ndarray:
        """The classes of a video."""
        return self.classes[self.begin[video] : self.begin[video + 1]]

    def hit(self, best: np.ndarray) -> np.ndarray:
        """bool (V,): whether a video has the class that `best`, int (V,), names for it."""
        found = np.zeros(len(best), bool)
        found[self.videos[best[self.videos] == self.classes]] = True
        return found

    @cached_property
    def videos(self) -> np.ndarray:
        """int32 (L,): the video of each label."""
        return np.repeat(np.arange(len(self.begin) - 1, dtype=np.int32), np.diff(self.begin))

    def have(self, number: int) -> np.ndarray:
        """bool (V,): whether a video has the class among its labels."""
        found = np.zeros(len(self.begin) - 1, bool)
        found[self.videos[self.classes == number]] = True
        return found


@dataclass(frozen=True)
class Model:
    """What one model says of the V videos of the catalogue, NaN and `NONE` where it says nothing."""

    answers: Answers
    best: np.ndarray
    """int32 (V,): the class with the highest score."""
    highest: np.ndarray
    """float32 (V,): its score."""
    lowest_label: np.ndarray
    """float32 (V,): the lowest score of a label of the video."""
    right: np.ndarray
    """bool (V,): whether the class with the highest score is a label of the video."""
    unjudged: np.ndarray
    """bool (V,): whether nobody knows if the video shows the class with the highest score."""


@dataclass(frozen=True)
class Catalogue:
    """The V videos of a manifest, and what the models say of those that are tested."""

    videos: pa.Array
    """Ids."""
    paths: pa.Array
    """Paths inside the root of the corpus."""
    split: np.ndarray
    """int8 (V,): positions in `manifest.SPLITS`."""
    spans: dict[int, Segment]
    """Video -> its segment of the file, for those that are one."""
    labelled: np.ndarray
    """bool (V,): whether somebody said what the video shows, which may be none of the classes."""
    labels: Labels
    unknown: Labels
    """The classes of which nobody knows whether a video shows them."""
    classes: tuple[str, ...]
    broken: dict[int, BrokenVideo]
    """Video -> its row in broken.tsv."""
    place: np.ndarray
    """int32 (V,): a video's number among those that are answered; -1 where it is none of them."""
    models: dict[str, Model]
    """The ensemble, where there is one, and then the members."""
    apart: np.ndarray
    """float32 (V,) in 0..1: how far the members lie apart (`answers.disagreement`)."""

    @classmethod
    def read(cls, data: Path, scratch: Path) -> "Catalogue":
        """Read the outs of a run.

        Args:
            data: the folder of the outs.
            scratch: the folder for what `Answers` lays out.

        Raises:
            UserError: an out is missing or damaged, or not of this corpus; or there are no prediction files.
        """
        manifest = Manifest.read(data / "manifest.tsv", data / "classes.txt")
        number = {video: row for row, video in enumerate(manifest.videos)}
        pairs, place = (manifest.label_pairs(), manifest.unknown_pairs()), _place(manifest)
        labels, unknown = (Labels.of(each, len(manifest)) for each in pairs)
        read = [Answers.read(folder, name, manifest, scratch) for name, folder in _folders(data)]
        spread = disagreement([one for one in read if one.model != ENSEMBLE], scratch)
        columns = manifest.table
        return cls(
            videos=pa.array(columns["video"]),
            paths=pa.array(columns["path"]),
            split=columns["split"].map(SPLITS.index).to_numpy(np.int8),
            spans=dict(_spans(manifest)),
            labelled=(columns["labels"] != "").to_numpy(),
            labels=labels,
            unknown=unknown,
            classes=manifest.classes,
            broken={number[one.video]: one for one in read_broken(data / "broken.tsv") if one.video in number},
            place=place,
            models={one.model: _model(one, place, labels, unknown) for one in read},
            apart=_spread_out(spread, place, np.nan),
        )

    def __len__(self) -> int:
        """The number of videos."""
        return len(self.videos)

    @cached_property
    def small_letters(self) -> pa.Array:
        """The ids in small letters."""
        return pc.utf8_lower(self.videos)

    @cached_property
    def is_broken(self) -> np.ndarray:
        """bool (V,)."""
        found = np.zeros(len(self), bool)
        found[list(self.broken)] = True
        return found

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of broken.tsv that occur, sorted."""
        return tuple(sorted({one.reason for one in self.broken.values()}))

    def names(self, video: int) -> list[str]:
        """The labels of a video."""
        return [self.classes[number] for number in self.labels[video]]

    def scores(self, model: str, video: int) -> np.ndarray | None:
        """What a model says of all classes, float32 (C,); None where it does not answer the video."""
        one = self.models[model]
        return None if one.best[video] == NONE else np.asarray(one.answers.scores[:, self.place[video]])

    def scores_of(self, model: str, number: int) -> np.ndarray:
        """What a model says of one class, float32 (V,); NaN where it does not answer."""
        one = self.models[model]
        found = _spread_out(np.asarray(one.answers.scores[number]), self.place, np.nan)
        return np.where(one.best == NONE, np.nan, found)


def _folders(data: Path) -> Sequence[tuple[str, Path]]:
    """(model, folder of its prediction files), the ensemble first."""
    members = [path for path in sorted((data / "predictions").glob("*")) if (path / "test.parquet").is_file()]
    if not members:
        raise UserError(f"{data / 'predictions'} holds no prediction files. `dvc repro` makes them.")
    fused = data / ENSEMBLE
    ensemble = [(ENSEMBLE, fused)] if (fused / "test.parquet").is_file() else []
    return [*ensemble, *((path.name, path) for path in members)]


def _place(manifest: Manifest) -> np.ndarray:
    place, split = np.full(len(manifest), -1, np.int32), manifest.table["split"].to_numpy()
    answered = np.concatenate([np.flatnonzero(split == name) for name in TESTED])
    place[answered] = np.arange(len(answered))
    return place


def _spans(manifest: Manifest) -> Iterator[tuple[int, Segment]]:
    if COLUMNS[0] in manifest.table:
        for row, times in enumerate(zip(*(manifest.table[name] for name in COLUMNS), strict=True)):
            if span := Segment.of(dict(zip(COLUMNS, times, strict=True))):
                yield row, span


def _model(answers: Answers, place: np.ndarray, labels: Labels, unknown: Labels) -> Model:
    best, highest = _spread_out(answers.best, place, NONE), _spread_out(answers.highest, place, np.nan)
    tested = place[labels.videos] >= 0
    lowest = _spread_out(answers.lowest_of(place[labels.videos[tested]], labels.classes[tested]), place, np.nan)
    return Model(answers, best, highest, lowest, labels.hit(best), unknown.hit(best))


def _spread_out(values: np.ndarray, place: np.ndarray, otherwise: float) -> np.ndarray:
    """Values (A,) of the answered videos, for all videos (V,)."""
    if not len(values):
        return np.full(len(place), otherwise, values.dtype)
    return np.where(place >= 0, values[np.maximum(place, 0)], np.array(otherwise, values.dtype))
