"""Folds of a corpus: which videos each holds out, as one manifest and one folder of class statistics a fold.

    folds.tsv              a row for each labelled video: the fold that holds it out, counted from 1
    <fold>/manifest.tsv    the labelled videos: those held out are test, `dataset.val_share` of the others is val
    <fold>/stats           class statistics of the fold's train videos

A fold is a manifest like any other, so a model is trained and tested on it as on the corpus. Its own splits play no
part. No group is torn apart, neither by the folds nor by the val split of one.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import class_stats
from pipeline.core import checksums, files, tsv
from pipeline.core.errors import UserError
from pipeline.core.groups import of_each
from pipeline.core.labels import shown
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.stratify import stratified

log = logging.getLogger(__name__)

FOLDS, MANIFEST, STATS = "folds.tsv", "manifest.tsv", "stats"
COLUMNS = ("video", "fold")
WAY_OUT = "Lower dataset.folds in conf/dataset/ (0: no folds), then `pipeline params`."


@dataclass(frozen=True)
class Corpus:
    """The labelled videos of a corpus, and what binds them."""

    manifest: Manifest
    groups: list[str] | None
    """Group of each video, one without being its own; None where no video has one."""
    good: np.ndarray
    """bool (V,): false for videos that gave no frame, and can teach nothing."""

    @classmethod
    def of(cls, manifest: Manifest, broken: Iterable[str]) -> "Corpus":
        """The labelled videos of a manifest; `broken` are the videos that gave no frame."""
        table = manifest.table[manifest.table["labels"] != ""].reset_index(drop=True)
        good = ~table["video"].isin(set(broken)).to_numpy()
        return cls(replace(manifest, table=table), of_each(table["video"], manifest.groups), good)

    @property
    def bound(self) -> np.ndarray:
        """Group of each video, str (V,); where there are no groups, its own id."""
        return np.array(self.groups or self.manifest.videos, dtype=object)

    def deal(self, rows: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
        """The part of each of some videos, int (R,): broken ones do not count as examples of their labels."""
        labels = [shown(text) for text in self.manifest.table["labels"].iloc[rows]]
        seen = [names if good else () for names, good in zip(labels, self.good[rows], strict=True)]
        groups = None if self.groups is None else [self.groups[row] for row in rows]
        return np.array(stratified(seen, shares, seed, groups))

    def lacking(self, train: np.ndarray) -> np.ndarray:
        """The numbers of the classes of which no train video gave frames; `train` is bool (V,)."""
        row, column = self.manifest.label_pairs()
        seen = column[(train & self.good)[row]]
        return np.flatnonzero(np.bincount(seen, minlength=len(self.manifest.classes)) == 0)


def partition(corpus: Corpus, folds: int, seed: int) -> np.ndarray:
    """The fold that holds out each video, int (V,), counted from 1.

    Raises:
        UserError: there are too few groups, or a class lies in one fold alone, so that nothing could learn it there.
    """
    found = len(set(corpus.bound))
    if found <= folds:
        raise UserError(f"{folds} folds need more than {folds} groups of videos, and the corpus has {found}. {WAY_OUT}")
    fold = corpus.deal(np.arange(len(corpus.manifest)), [1 / folds] * folds, seed) + 1
    for number in range(1, folds + 1):
        for column in corpus.lacking(fold != number):
            raise UserError(_alone(corpus, int(column)))
    _name_rare(corpus, folds)
    return fold


def splits(corpus: Corpus, fold: np.ndarray, number: int, config: DatasetConfig) -> np.ndarray:
    """The split of each video, str (V,), while one fold is held out.

    A class of which every video would be val has those of one group moved to train.
    """
    split = np.where(fold == number, "test", "train").astype(object)
    others = np.flatnonzero(fold != number)
    is_val = corpus.deal(others, (1 - config.val_share, config.val_share), config.split_seed) == 1
    split[others[is_val]] = "val"
    groups, (row, column) = corpus.bound, corpus.manifest.label_pairs()
    while len(lacking := corpus.lacking(split == "train")):
        first = next(v for v in row[column == lacking[0]] if split[v] == "val" and corpus.good[v])
        split[groups == groups[first]] = "train"
    if not (split == "val").any():
        raise UserError(f"Fold {number} leaves no group for val, as train needs each for some class. {WAY_OUT}")
    return split


def write(out: Path, manifest: Manifest, broken: Iterable[str], config: DatasetConfig) -> np.ndarray:
    """Write the folds of a corpus to a folder; the fold of each labelled video, int (V,), from 1.

    Args:
        out: written as a whole or not at all.
        manifest: all videos of the corpus, with their groups.
        broken: the videos that gave no frame.
        config: how many folds, the share of val and the seed.

    Raises:
        UserError: the corpus is too small for so many folds.
    """
    corpus = Corpus.of(manifest, broken)
    fold = partition(corpus, config.folds, config.split_seed)
    with files.aside(out) as partial:
        partial.mkdir()
        cells = corpus.manifest.videos, fold
        tsv.write(partial / FOLDS, pd.DataFrame(dict(zip(COLUMNS, cells, strict=True))))
        for number in range(1, config.folds + 1):
            split = splits(corpus, fold, number, config)
            (partial / str(number)).mkdir()
            tsv.write(partial / str(number) / MANIFEST, corpus.manifest.table.assign(split=split))
            train = split == "train"
            seen = replace(corpus.manifest, table=corpus.manifest.table[train & corpus.good].reset_index(drop=True))
            class_stats.write(partial / str(number) / STATS, seen, expected=int(train.sum()))
            checksums.seal(partial / str(number))
        checksums.seal(partial)
    return fold


def counted(corpus: Manifest, present: Iterable[str]) -> class_stats.ClassStatistics:
    """Class statistics of the videos of a corpus that are `present`, such as those that gave frames."""
    good = corpus.without(set(corpus.videos) - set(present))
    return class_stats.count(good)


def everything(manifest: Manifest) -> Manifest:
    """A corpus whose labelled videos are all train, for the final model; it has no other split."""
    table = manifest.table[manifest.table["labels"] != ""].reset_index(drop=True)
    return replace(manifest, table=table.assign(split="train"))


def read(folder: Path) -> pd.DataFrame:
    """The table folds.tsv of a folder that `write` wrote: a row for each labelled video, with the columns `COLUMNS`.

    Raises:
        UserError: it is missing or damaged.
    """
    return tsv.read(folder / FOLDS, COLUMNS, stage="folds", numbers=["fold"])


def _groups_of(corpus: Corpus, column: int) -> set[str]:
    """The groups that have a video of a class that gave frames."""
    row, of_class = corpus.manifest.label_pairs()
    return set(corpus.bound[[video for video in row[of_class == column] if corpus.good[video]]])


def _alone(corpus: Corpus, column: int) -> str:
    """What is wrong with a class that is in one fold alone."""
    name, groups = corpus.manifest.classes[column], sorted(_groups_of(corpus, column))
    if not groups:
        return f"No video of the class {name!r} gave frames (see broken.tsv). Mend the files, or drop the class."
    if len(groups) == 1:
        row, of_class = corpus.manifest.label_pairs()
        videos = int(corpus.good[row[of_class == column]].sum())
        return (
            f"Every video of the class {name!r} is of one group ({groups[0].strip()}, {videos} that gave frames), so "
            "the fold that holds it out has none to learn the class from. Add a video of another group, or drop the "
            "class; or set dataset.folds: 0 in conf/dataset/, then `pipeline params`."
        )
    return (
        f"All {len(groups)} groups of the class {name!r} came into one fold, so nothing could learn it there. Try "
        "another dataset.split_seed in conf/dataset/, then `pipeline params`."
    )


def _name_rare(corpus: Corpus, folds: int) -> None:
    """Say which classes some folds hold no video of."""
    row, column = corpus.manifest.label_pairs()
    pairs = pd.DataFrame({"class": column, "group": corpus.bound[row]})[corpus.good[row]].drop_duplicates()
    counts = np.bincount(pairs["class"], minlength=len(corpus.manifest.classes))
    found = dict(zip(corpus.manifest.classes, counts.tolist(), strict=True))
    if rare := [f"{name} ({count})" for name, count in found.items() if count < folds]:
        log.warning(
            "%d classes lie in fewer than %d groups, so some folds hold no video of them: %s",
            len(rare), folds, ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else ""),
        )  # fmt: skip
