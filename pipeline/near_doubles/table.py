"""Tables of near-doubles: the pairs that were found, and a corpus whose near-doubles share a group."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core import groups
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.names import NO_CLASS
from pipeline.core.segments import COLUMNS as SPAN
from pipeline.near_doubles.search import Pair

COLUMNS = ("likeness", "one", "one_split", "one_labels", "other", "other_split", "other_labels")
"""Columns of data/near_doubles.tsv."""


def listed(pairs: Sequence[Pair], corpus: Manifest, copies: pd.DataFrame) -> pd.DataFrame:
    """The pairs with splits and labels: first those that splits tear apart, of each kind the most alike first.

    Pairs that are known are left out: segments of one file, and files with the same bytes.

    Args:
        copies: data/doubles.tsv.
    """
    of_video = corpus.table.set_index("video")
    sets = copies.set_index("video")["set"].to_dict()
    rows = []
    for one, other, likeness in pairs:
        a, b = of_video.loc[one], of_video.loc[other]
        if a["path"] != b["path"] and not (one in sets and sets[one] == sets.get(other)):
            rows.append((f"{likeness:.3f}", one, a["split"], a["labels"], other, b["split"], b["labels"]))
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=str)
    return table.iloc[np.argsort(~torn(table), kind="stable")].reset_index(drop=True)


def torn(table: pd.DataFrame) -> np.ndarray:
    """Which pairs lie in two splits, bool (P,)."""
    apart: np.ndarray = (table["one_split"] != table["other_split"]).to_numpy()
    return apart


def annotations(corpus: Manifest, table: pd.DataFrame) -> pd.DataFrame:
    """The corpus as a CSV for `format: folder`, whose near-doubles share a group.

    A split that a seed made is left out, so that it is made anew; one that the annotations give stays.

    Args:
        corpus: as its annotations have it.
        table: the pairs.
    """
    of_video = groups.joined(corpus.groups, table[["one", "other"]].to_numpy().tolist())
    rows = corpus.table[["path", "labels", "split", *(name for name in SPAN if name in corpus.table)]]
    rows = rows.assign(
        labels=rows["labels"].replace(NO_CLASS, ""),  # as the reader of a CSV has it, with unlabelled: negative
        group=corpus.table["video"].map(lambda video: of_video.get(video, "")),
    )
    if corpus.drawn == SPLITS:
        return rows.drop(columns="split")
    return rows.assign(split=rows["split"].where(~rows["split"].isin(corpus.drawn), "train"))  # val is taken from it
