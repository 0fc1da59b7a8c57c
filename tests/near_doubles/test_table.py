from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.core import doubles
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest, VideoRecord
from pipeline.core.names import NO_CLASS
from pipeline.datasets import folder
from pipeline.near_doubles import table
from pipeline.near_doubles.search import Pair

ROWS = [
    VideoRecord("a.mp4", "train", "a.mp4", "run"),
    VideoRecord("b.mp4", "train", "b.mp4", "run;jump"),
    VideoRecord("c.mp4", "val", "c.mp4", "run"),
    VideoRecord("d.mp4", "test", "d.mp4", "jump"),
    VideoRecord("e.mp4", "train", "e.mp4", "jump"),
]
CORPUS = Manifest.from_records(ROWS, ["run", "jump"])


def pairs(*rows: tuple[str, str, float]) -> list[Pair]:
    return [Pair(f"{one}.mp4", f"{other}.mp4", likeness) for one, other, likeness in rows]


def copies(*sets: str) -> pd.DataFrame:
    found = np.array([next((n for n, its in enumerate(sets) if row.video[0] in its), -1) for row in ROWS])
    return doubles.table(CORPUS, found, np.full(len(ROWS), True))


def test_pairs_across_splits_come_first_and_have_splits_and_labels():
    found = table.listed(pairs(("a", "b", 0.99), ("a", "c", 0.98), ("b", "e", 0.9), ("b", "d", 0.81)), CORPUS, copies())

    assert [f"{row.likeness} {row.one[0]}{row.other[0]}" for row in found.itertuples()] == [
        "0.980 ac", "0.810 bd", "0.990 ab", "0.900 be",
    ]  # fmt: skip
    assert found.iloc[1].tolist() == ["0.810", "b.mp4", "train", "run;jump", "d.mp4", "test", "jump"]
    assert table.torn(found).tolist() == [True, True, False, False]


def test_what_is_known_to_be_the_same_is_left_out():
    found = table.listed(pairs(("a", "b", 1.0), ("a", "c", 1.0), ("c", "d", 1.0)), CORPUS, copies("ab", "cd"))
    assert found[["one", "other"]].to_numpy().tolist() == [["a.mp4", "c.mp4"]]

    parts = [row._replace(video=f"{row.video}#0-{n}", path="long.mp4", end=float(n)) for n, row in enumerate(ROWS, 1)]
    segments = Manifest.from_records(parts, ["run", "jump"])
    both = [Pair("a.mp4#0-1", "c.mp4#0-3", 1.0)]
    assert table.listed(both, segments, copies()).empty


def test_near_doubles_share_a_group_with_their_groups_and_a_split_that_was_made_is_left_out():
    corpus = replace(CORPUS, groups={"a.mp4": "ann", "c.mp4": "ann", "d.mp4": "bob"}, drawn=SPLITS)

    found = table.annotations(corpus, table.listed(pairs(("a", "b", 1.0), ("d", "e", 1.0)), corpus, copies()))

    assert found.to_csv(index=False, lineterminator="\n") == (
        "path,labels,group\na.mp4,run,ann\nb.mp4,run;jump,ann\nc.mp4,run,ann\nd.mp4,jump,bob\ne.mp4,jump,bob\n"
    )


@pytest.mark.parametrize(("drawn", "expected"), [
    ((), ["train", "train", "val", "test", "train"]),
    (("train", "val"), ["train", "train", "train", "test", "train"]),
])  # fmt: skip
def test_a_split_that_the_annotations_give_stays(drawn, expected):
    found = table.annotations(replace(CORPUS, drawn=drawn), table.listed([], CORPUS, copies()))
    assert found["split"].tolist() == expected


def test_the_reader_of_folders_reads_the_csv_and_tears_no_copies_apart(tmp_path):
    names = [f"{n:02}.mp4" for n in range(24)]
    made = [VideoRecord(f"{name}", SPLITS[n % 3], name, "run" if n % 2 else "jump") for n, name in enumerate(names)]
    corpus = replace(Manifest.from_records(made, ["jump", "run"]), drawn=SPLITS)
    alike = [Pair(a, b, 1.0) for a, b in zip(names[::4], names[1::4], strict=True)]
    file = tmp_path / "joined.csv"
    table.annotations(corpus, table.listed(alike, corpus, copies())).to_csv(file, index=False)

    config = DatasetConfig("folder", str(tmp_path), str(file), (), "conf/dataset", None, 0.15, 0.15, 0)
    read = folder.read(config)

    split = dict(zip(read.videos, read.table["split"], strict=True))
    assert set(split.values()) == set(SPLITS)
    assert all(split[pair.one] == split[pair.other] for pair in alike)
    assert read.groups[names[0]] == read.groups[names[1]] != read.groups[names[4]]


def test_a_video_of_no_class_has_an_empty_cell_as_its_annotations_have():
    corpus = Manifest.from_records([*ROWS, VideoRecord("f.mp4", "train", "f.mp4", NO_CLASS)], ["run", "jump"])
    assert table.annotations(corpus, table.listed([], corpus, copies()))["labels"].iloc[-1] == ""
