"""No split that is made tears copies apart, and copies across a split that is given are told, dropped or refused."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from pipeline.core.doubles import NO, YES
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _doubles, _rows
from pipeline.datasets._rows import Row
from pipeline.folds.partition import Corpus, partition


def config(**settings: object) -> DatasetConfig:
    given = dict(format="folder", root="videos", annotations="labels.csv", after="conf", generated=(), classes=None,
                 val_share=0.2, test_share=0.2, split_seed=0)  # fmt: skip
    return DatasetConfig(**given | settings)


def corpus(
    settings: DatasetConfig,
    recordings: int = 18,
    names: int = 5,
    splits: str = "",
    groups: bool = False,
    classes: int = 3,
) -> tuple[Manifest, np.ndarray]:
    """Recordings that lie there under several names each, and their sets: the corpus that leaked, 90 files of 18.

    `splits` has a letter for each video, of train, val and test: t, v, e.
    """
    rows, sets = [], []
    for n in range(recordings * names):
        recording, split = n % recordings, {"": "", "t": "train", "v": "val", "e": "test"}[splits[n : n + 1]]
        label = ("run", "jump", "swim")[recording % classes]
        rows.append(Row.of(f"line {n}", f"{n:02d}.mp4", [label], split, f"g{recording // 6}" if groups else ""))
        sets.append(recording)
    return _rows.manifest(settings, rows), np.array(sets)


def splits_of(sets: np.ndarray, splits: pd.Series) -> dict[int, set[str]]:
    found = defaultdict(set)
    for number, split in zip(sets.tolist(), splits, strict=True):
        found[number].add(split)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_split_that_is_made_tears_no_copies_apart(seed: int, caplog):
    settings = config(split_seed=seed)
    before, sets = corpus(settings)
    assert sum(len(its) > 1 for its in splits_of(sets, before.table["split"]).values()) > 12  # it leaked

    after, found = _doubles.settle(settings, before, sets)
    _doubles.tell(settings, found, after)
    assert all(len(its) == 1 for its in splits_of(sets, after.table["split"]).values())
    assert after.table["split"].value_counts().to_dict() == {"train": 60, "val": 15, "test": 15}  # 4, 1, 1 of a class
    assert after.videos == before.videos
    assert found["split"].tolist() == [after.table["split"][int(video[:2])] for video in found["video"]]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_corpus_without_copies_stays_as_it_is():
    settings = config()
    before, sets = corpus(settings, names=1)
    after, found = _doubles.settle(settings, before, np.full_like(sets, -1))
    assert after is before
    assert found.empty


def test_copies_bind_the_groups_that_they_are_of():
    """Five names of a recording, of which one is in another group: the groups are dealt as one."""
    settings = config()
    before, sets = corpus(settings, recordings=30, names=2, groups=True)
    sets = np.where(np.isin(np.arange(60), [0, 29]), 0, -1)  # a video of g0 is a copy of one of g4
    after, _ = _doubles.settle(settings, before, sets)

    assert set(after.groups.values()) == {"g0 and 1 more", "g1", "g2", "g3"}
    for name in set(after.groups.values()):
        of_group = after.table["video"].map(after.groups) == name
        assert len(set(after.table["split"][of_group])) == 1
    assert list(after.groups) == after.videos


def test_val_that_is_taken_from_train_has_no_copy_in_train_and_the_given_test_stays(caplog):
    settings = config()
    before, sets = corpus(settings, splits="t" * 72 + "e" * 18)
    assert before.drawn == ("train", "val")
    after, found = _doubles.settle(settings, before, sets)
    _doubles.tell(settings, found, after)

    assert (after.table["split"] == "test").tolist() == [False] * 72 + [True] * 18
    assert all(len(its) == 1 for its in splits_of(sets[:72], after.table["split"][:72]).values())
    assert set(after.table["split"]) == {"train", "val", "test"}
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "tear 18 sets of copies apart, so scores on val and test flatter: 18 of 18 test videos are in train" in said


def test_copies_across_a_given_split_are_counted_and_named(caplog):
    """Of three recordings under two names each, one lies in train and val, one in val and test, one in train alone."""
    settings = config()
    before, sets = corpus(settings, recordings=3, names=2, splits="tvtvet", classes=1)
    after, found = _doubles.settle(settings, before, sets)
    _doubles.tell(settings, found, after)

    assert after.table.equals(before.table)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "tear 2 sets of copies apart" in said
    assert "1 of 2 val videos are in train, too, 1 of 1 test videos are in train or val, too." in said
    assert "'00.mp4' (train) = '03.mp4' (val); '01.mp4' (val) = '04.mp4' (test). Mend the splits" in said
    assert after.groups == {"02.mp4": "copies of 02.mp4", "05.mp4": "copies of 02.mp4"}  # the others are apart anyway


def test_folds_hold_out_all_names_of_a_recording_whatever_the_given_split(caplog):
    settings = config(folds=3)
    before, sets = corpus(settings, splits="ttttttvve" * 10)
    after, _ = _doubles.settle(settings, before, sets)
    fold = partition(Corpus.of(after, ()), 3, seed=0)
    assert all(len(set(fold[sets == number])) == 1 for number in range(18))

    leaked = partition(Corpus.of(before, ()), 3, seed=0)
    assert sum(len(set(leaked[sets == number])) > 1 for number in range(18)) > 10


def test_dropped_copies_leave_what_the_annotations_would_give_without_them():
    settings = config(doubles="drop")
    before, sets = corpus(settings, recordings=40, names=2)
    sets[:10] = sets[40:50] = -1
    after, found = _doubles.settle(settings, before, sets)
    first_alone = [number for number in range(80) if number < 50]
    alone = _rows.manifest(
        settings, [Row.of("", f"{n:02d}.mp4", [("run", "jump", "swim")[n % 40 % 3]]) for n in first_alone]
    )

    assert after.table.equals(alone.table)
    assert after.groups == {}
    assert found[found["dropped"] == YES]["video"].tolist() == [f"{n}.mp4" for n in range(50, 80)]
    assert set(found[found["dropped"] == YES]["split"]) == {""}


def test_of_copies_the_one_that_is_held_out_stays_and_a_given_test_is_never_changed(caplog):
    rows = "ttvtveetttee"  # of the sets 0, 1, 2 and 3, of which the last are no copies
    settings = config(doubles="drop", classes=None)
    before, sets = corpus(settings, recordings=4, names=3, splits=rows, classes=1)
    sets[sets == 3] = -1
    after, found = _doubles.settle(settings, before, sets)
    _doubles.tell(settings, found, after)

    kept = {
        "00": False,
        "01": False,
        "02": False,
        "04": True,
        "05": True,
        "06": True,
        "08": False,
        "09": False,
        "10": True,
    }
    assert dict(zip(found["video"].str[:2], found["dropped"] == NO, strict=True)) == kept
    assert after.videos == [f"{n:02d}.mp4" for n in range(12) if kept.get(f"{n:02d}", True)]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_class_whose_every_train_video_is_dropped_is_refused():
    settings = config(doubles="drop")
    before, sets = corpus(settings, recordings=6, names=2, splits="tttttt" + "eevvvv")
    with pytest.raises(UserError, match="labels.csv: no train video is labelled 'jump', 'run', 'swim'|no video in the"):
        _doubles.settle(settings, before, sets)


def test_copies_are_refused_by_name():
    settings = config(doubles="refuse")
    before, sets = corpus(settings, recordings=6, names=2)
    after, found = _doubles.settle(settings, before, sets)
    with pytest.raises(
        UserError, match=r"12 videos are 6 sets of copies .* refuses: '00.mp4' \(\w+\) = .*; and 3 more"
    ):
        _doubles.tell(settings, found, after)
    _doubles.tell(settings, found.iloc[:0], after)


def test_copies_with_other_labels_are_told_with_their_labels(caplog):
    settings = config()
    rows = [
        Row.of("", f"{n}.mp4", ["run" if n % 2 else "jump"], "train" if n < 4 else ("val", "test")[n % 2])
        for n in range(8)
    ]
    before, sets = _rows.manifest(settings, rows), np.array([0, 0, 1, -1, -1, -1, -1, -1])
    after, found = _doubles.settle(settings, before, np.where(np.arange(8) == 2, 0, sets))
    _doubles.tell(settings, found, after)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "in 1 set of copies the labels differ" in said
    assert "'0.mp4' (jump) = '1.mp4' (run) = '2.mp4' (jump)" in said


def test_a_split_that_no_longer_has_enough_groups_is_refused():
    settings = config()
    before, _ = corpus(settings, recordings=2, names=10)
    with pytest.raises(
        UserError, match="20 videos in 2 groups of 2 classes cannot be split so that val has one.* bytes"
    ):
        _doubles.settle(settings, before, np.arange(20) % 2)


def test_spans_of_copies_stay_together_and_the_same_span_alone_is_dropped():
    """Two names of a file have the spans 0 to 5 and 5 to 9, and the first name has a span of its own besides."""
    spans = [("a.mp4", 0.0, 5.0), ("a.mp4", 5.0, 9.0), ("a.mp4", 9.0, None), ("b.mp4", 5.0, 9.0), ("b.mp4", 0.0, 5.0)]
    rows = [Row.of("", path, ["run"], start=start, end=end) for path, start, end in spans]
    rows += [Row.of("", f"{n}.mp4", ["run"]) for n in range(15)]
    for doubles in ("keep", "drop"):
        settings = config(doubles=doubles)
        before, sets = _rows.manifest(settings, rows), np.array([0] * 5 + [-1] * 15)
        after, found = _doubles.settle(settings, before, sets)
        gone = [] if doubles == "keep" else ["b.mp4#5-9", "b.mp4#0-5"]
        assert after.videos == [video for video in before.videos if video not in gone]
        assert sorted(found[found["dropped"] == YES]["video"]) == sorted(gone)
        assert found[["set", "video"]].values.tolist() == [
            [1, "a.mp4#0-5"], [1, "b.mp4#0-5"], [2, "a.mp4#5-9"], [2, "b.mp4#5-9"],
        ]  # fmt: skip
        files = after.table["video"].str.startswith(("a", "b"))
        assert len(set(after.table["split"][files])) == 1
