"""What becomes of a corpus with doubles: `dataset.doubles`, a split that tears none apart, and what is said of them.

A video that train and test have in common is answered from memory, so that scores flatter. A split that is made, the
folds and the cross-validation of a probe keep copies together, as if they were a group; across splits that the
annotations give they stay where they are, with a warning.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.core import doubles, groups
from pipeline.core.doubles import NO, YES
from pipeline.core.errors import UserError
from pipeline.core.labels import shown
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest
from pipeline.core.plural import number_of
from pipeline.datasets import _splits

log = logging.getLogger(__name__)
NAMED = 3
"""Number of sets of copies that a message names."""


def settle(config: DatasetConfig, corpus: Manifest, sets: np.ndarray) -> tuple[Manifest, pd.DataFrame]:
    """The corpus without the copies that are dropped, and the table of its doubles (doubles.py).

    A split that was made is made anew, and copies that lie in one split are a group from now on.

    Args:
        corpus: all videos, as the annotations have them.
        sets: the set of each video by the content of its file, int (V,), -1 for none.

    Raises:
        UserError: what is left cannot be split, or a class has no train video any more.
    """
    if (sets < 0).all():
        return corpus, doubles.table(corpus, sets, np.full(len(corpus), True))
    copies = doubles.of_segments(corpus, sets)
    kept = _first(corpus, copies) if config.doubles == "drop" else np.full(len(corpus), True)
    settled = _drawn(config, replace(corpus, table=corpus.table[kept].reset_index(drop=True)), sets[kept])
    bound = _together(settled, sets[kept], apart=not config.folds)  # folds are dealt whatever the splits are
    joined = groups.joined(settled.groups, bound)
    settled = replace(settled, groups={video: joined[video] for video in settled.videos if video in joined})
    splits = corpus.table["split"].where(~corpus.table["split"].isin(corpus.drawn), "").to_numpy(dtype=object)
    splits[kept] = settled.table["split"]
    listed = replace(corpus, table=corpus.table.assign(split=splits))
    return settled.checked(config.annotations), doubles.table(listed, copies, kept)


def tell(config: DatasetConfig, found: pd.DataFrame, corpus: Manifest) -> None:
    """Say what the table of doubles holds; `corpus` is what is left of the corpus.

    Raises:
        UserError: there are doubles, and `dataset.doubles` is refuse.
    """
    if found.empty:
        return
    sets = [its for _, its in found.groupby("set")]
    text = f"{config.annotations}: {len(found):,} videos are {number_of(len(sets), 'set')} of copies (the same bytes)"
    if config.doubles == "refuse":
        raise UserError(
            f"{text}, which dataset.doubles refuses: {_some(sets, 'split')}. data/doubles.tsv lists all. Take copies "
            "out of the annotations, or set dataset.doubles: drop in conf/dataset/, then `pipeline params`."
        )
    gone = int((found["dropped"] == YES).sum())
    done = f"; {gone:,} of them are dropped" if config.doubles == "drop" else ""
    log.info("%s%s; data/doubles.tsv lists them", text, done)
    left = found[found["dropped"] == NO]
    torn = left[left.groupby("set")["split"].transform("nunique") > 1]
    if len(torn):
        log.warning(
            "%s: the splits tear %s of copies apart, so scores on val and test flatter: %s. %s. Mend the splits, or "
            "set dataset.doubles: drop in conf/dataset/, which leaves the copy that is held out.",
            config.annotations, number_of(torn["set"].nunique(), "set"), _affected(torn, corpus),
            _some([its for _, its in torn.groupby("set")], "split"),
        )  # fmt: skip
    if wrong := [its for its in sets if its["labels_differ"].iloc[0] == YES]:
        text = "%s: in %s of copies the labels differ, so some must be wrong: %s. Mend them in the annotations."
        log.warning(text, config.annotations, number_of(len(wrong), "set"), _some(wrong, "labels"))


def _first(corpus: Manifest, sets: np.ndarray) -> np.ndarray:
    """Which videos stay where copies are dropped, bool (V,): the first of the given test, else of val, else of train.

    A test that is given stays as it is, since a score is compared with those of others on the same videos.
    """
    split = corpus.table["split"]
    given = ~split.isin(corpus.drawn)
    rank = np.where(given & (split == "test"), 0, np.where(given & (split == "val"), 1, 2))
    order = np.lexsort((np.arange(len(sets)), rank, sets))
    kept = np.ones(len(sets), dtype=bool)
    kept[order] = (sets[order] < 0) | (rank[order] == 0) | np.r_[True, sets[order][1:] != sets[order][:-1]]
    return kept


def _drawn(config: DatasetConfig, corpus: Manifest, sets: np.ndarray) -> Manifest:
    """The corpus with a split that is made anew, where one was made: copies are in one group."""
    table = corpus.table
    if not corpus.drawn:
        return corpus
    labels = [shown(text) if text else () for text in table["labels"]]
    among = np.where(table["split"].isin(corpus.drawn), sets, -1)
    of_video = groups.joined(corpus.groups, _together(corpus, among, apart=False))
    try:
        splits = _splits.draw(config, corpus.videos, labels, table["split"].tolist(), of_video, corpus.drawn)
    except UserError as error:
        raise UserError(
            f"{error} Files with the same bytes are one group: `dataset.doubles: drop` keeps one."
        ) from error
    return replace(corpus, table=table.assign(split=splits))


def _together(corpus: Manifest, sets: np.ndarray, apart: bool) -> list[list[str]]:
    """The videos of each set of copies; `apart` has those of each split by themselves."""
    table = corpus.table[["video", "split"]].assign(set=sets)[sets >= 0]
    by = ["set", "split"] if apart else ["set"]
    return [its.tolist() for _, its in table.groupby(by)["video"] if len(its) > 1]


def _affected(torn: pd.DataFrame, corpus: Manifest) -> str:
    """How many videos of val and test have a copy in a split that a model was chosen by, or learnt from."""
    said = []
    for split in SPLITS[1:]:
        earlier = SPLITS[: SPLITS.index(split)]
        known = torn[torn["split"].isin(earlier)]["set"]
        videos = int((torn["set"].isin(known) & (torn["split"] == split)).sum())
        if videos:
            said.append(f"{videos:,} of {len(corpus.split(split)):,} {split} videos are in {' or '.join(earlier)}, too")
    return ", ".join(said)


def _some(sets: Iterable[pd.DataFrame], column: str) -> str:
    """The first sets of copies for a message, each video with its cell of a column, and how many more there are."""
    sets = list(sets)
    named = [
        " = ".join(
            f"{row['video']!r} ({row[column]})" if row[column] else repr(row["video"]) for row in its.to_dict("records")
        )
        for its in sets[:NAMED]
    ]
    more = len(sets) - NAMED
    return "; ".join(named) + (f"; and {more:,} more" if more > 0 else "")
