"""Folds: every video is held out once, groups stay whole, every class can be learnt, and what cannot be is said."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.class_stats import ClassStatistics
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest, VideoRecord
from pipeline.core.names import NO_CLASS
from pipeline.folds import partition


def config(folds: int = 5, val_share: float = 0.2, seed: int = 0) -> DatasetConfig:
    return DatasetConfig(
        format="folder", root="", annotations="", after="", generated=(), classes=None,
        val_share=val_share, test_share=0.2, split_seed=seed, folds=folds,
    )  # fmt: skip


def corpus(labels: list[str], groups: list[str] | None = None) -> Manifest:
    """A manifest without splits that mean anything; an empty group is none."""
    classes = sorted({name for text in labels for name in text.split(";") if name})
    rows = [
        VideoRecord(f"v{n}", "train" if text else "test", f"v{n}.mp4", text, "1-x") for n, text in enumerate(labels)
    ]
    named = {f"v{n}": group for n, group in enumerate(groups or []) if group}
    return Manifest(pd.DataFrame(rows, columns=list(VideoRecord._fields), dtype=str), tuple(classes), named)


def random_corpus(seed: int, single: bool) -> Manifest:
    """60 to 200 videos of 3 to 8 classes of unequal size, of 12 to 40 groups or of none; some have no group."""
    rng = np.random.default_rng(seed)
    videos, classes = int(rng.integers(60, 201)), int(rng.integers(3, 9))
    share = np.linspace(0.1, 0.6, classes)
    labels = []
    for _ in range(videos):
        if single:
            labels.append(f"c{rng.choice(classes, p=share / share.sum())}")
        else:
            labels.append(";".join(f"c{c}" for c in np.flatnonzero(rng.random(classes) < share)) or "c0")
    count = int(rng.integers(12, 41))
    groups = [f"g{rng.integers(count)}" if rng.random() < 0.9 else "" for _ in range(videos)]
    for number in range(2 * classes):  # every class lies in two groups at least
        labels[number], groups[number] = f"c{number % classes}", f"g{number // classes}"
    return corpus(labels, groups if seed % 3 else None)


def written(tmp_path: Path, manifest: Manifest, broken: list[str] | None = None, **settings) -> list[Manifest]:
    """The manifests of the folds, as the stages read them."""
    manifest.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    given = config(**settings)
    partition.write(tmp_path / "folds", manifest, broken or [], given)
    paths = [tmp_path / "folds" / str(number) / "manifest.tsv" for number in range(1, given.folds + 1)]
    return [Manifest.read(path, tmp_path / "classes.txt") for path in paths]


def test_videos_of_no_class_are_held_out_in_proportion(tmp_path: Path):
    whole = corpus([("a", "b", "a;b", NO_CLASS)[n % 4] for n in range(80)])
    folds = written(tmp_path, whole, folds=4)
    assert Counter(v for fold in folds for v in fold.split("test").videos) == Counter(whole.videos)
    assert [(fold.split("test").table["labels"] == NO_CLASS).sum() for fold in folds] == [5, 5, 5, 5]


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_every_video_is_held_out_once_and_no_group_is_torn_apart(tmp_path: Path, seed: int, single: bool):
    whole = random_corpus(seed, single)

    folds = written(tmp_path, whole, folds=2 + seed % 5, seed=seed)

    assert Counter(v for fold in folds for v in fold.split("test").videos) == Counter(whole.videos)
    for fold in folds:
        assert fold.videos == whole.videos
        of_group: dict[str, set[str]] = {}
        for video, split in zip(fold.videos, fold.table["split"], strict=True):
            of_group.setdefault(whole.groups.get(video, video), set()).add(split)
        assert {len(found) for found in of_group.values()} == {1}
        assert fold.table[["video", "path", "labels", "fingerprint"]].equals(
            whole.table[["video", "path", "labels", "fingerprint"]]
        )


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("seed", range(0, 12, 3))  # those without groups
def test_every_fold_has_its_share_of_every_class_and_of_the_videos(tmp_path: Path, seed: int, single: bool):
    whole = random_corpus(seed, single)
    total = Counter(name for text in whole.table["labels"] for name in text.split(";"))

    for fold in written(tmp_path, whole, folds=5, val_share=0.25, seed=seed):
        for split, share in {"test": 0.2, "val": 0.8 * 0.25, "train": 0.8 * 0.75}.items():
            table = fold.split(split).table
            found = Counter(name for text in table["labels"] for name in text.split(";"))
            for name, count in total.items():
                assert abs(found[name] - share * count) <= 2 + 0.06 * count, (split, name)
            assert abs(len(table) - share * len(whole)) <= 2 + 0.06 * len(whole)


def test_the_folds_file_agrees_with_the_manifests(tmp_path: Path):
    whole = random_corpus(1, single=True)
    folds = written(tmp_path, whole)

    table = partition.read(tmp_path / "folds")

    assert table["video"].tolist() == whole.videos
    for number, fold in enumerate(folds, start=1):
        assert table["video"][table["fold"] == number].tolist() == fold.split("test").videos


def test_the_same_seed_gives_the_same_folds_and_another_gives_others(tmp_path: Path):
    whole = random_corpus(0, single=True)

    first, again, other = (partition.write(tmp_path / "folds", whole, [], config(seed=seed)) for seed in (0, 0, 1))

    assert first.tolist() == again.tolist() != other.tolist()


def test_videos_without_a_label_are_in_no_fold(tmp_path: Path):
    labels = ["run", "jump"] * 10
    folds = written(tmp_path, corpus([*labels, "", ""]))

    assert {len(fold) for fold in folds} == {20}


def test_the_final_model_is_trained_on_every_labelled_video():
    whole = corpus(["run", "", "jump"])
    assert partition.everything(whole).table[["video", "split"]].values.tolist() == [["v0", "train"], ["v2", "train"]]


def test_the_statistics_of_a_fold_are_those_of_its_train_videos_that_gave_frames(tmp_path: Path):
    whole = random_corpus(2, single=False)
    broken = whole.videos[:9]
    for number, fold in enumerate(written(tmp_path, whole, broken), start=1):
        read = ClassStatistics.read(tmp_path / "folds" / str(number) / "stats")
        train = [row for row in fold.split("train").table.itertuples() if row.video not in broken]
        found = Counter(name for row in train for name in row.labels.split(";"))
        assert (read.videos, dict(zip(read.classes, read.counts.tolist(), strict=True))) == (len(train), found)


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_two_videos_can_be_learnt_in_every_fold(tmp_path: Path, seed: int):
    whole = corpus(["run", "jump"] * 10 + ["rare", "rare;run", "also rare", "jump;also rare"])

    folds = written(tmp_path, whole, seed=seed, val_share=0.4)  # reading them checks that train has every class

    assert len(folds) == 5


def test_a_class_that_would_all_be_val_moves_to_train_with_its_whole_group(tmp_path: Path):
    labels = ["c0", "c0", "c1", "c0;c1", "c0", "c2", "c0", "c0", "c0;c1;c2"]
    groups = ["g5", "g1", "g3", "g2", "g4", "g5", "g2", "g0", "g1"]  # c2 is in g1, held out, and in g5

    _, second = written(tmp_path, corpus(labels, groups), folds=2, val_share=0.4)

    by_group = dict(zip(groups, second.table["split"], strict=True))
    assert by_group == {"g0": "test", "g1": "test", "g2": "train", "g3": "test", "g4": "val", "g5": "train"}
    assert second.table["split"].tolist() == [by_group[group] for group in groups]


def test_broken_videos_are_no_examples_of_their_class(tmp_path: Path):
    whole = corpus(["run"] * 20 + ["jump"] * 20)

    for fold in written(tmp_path, whole, broken=whole.videos[:10]):
        held_out = set(fold.split("test").videos)
        assert len(held_out) == 8
        assert len(held_out & set(whole.videos[10:20])) == 2  # of ten good videos that run


def test_classes_that_some_folds_hold_no_video_of_are_named(tmp_path: Path, caplog):
    partition.write(tmp_path / "folds", corpus(["run", "jump"] * 10 + ["rare"] * 3), [], config())

    assert caplog.messages == ["1 classes lie in fewer than 5 groups, so some folds hold no video of them: rare (3)"]


def refusal(tmp_path: Path, manifest: Manifest, broken: list[str] | None = None, **settings) -> str:
    with pytest.raises(UserError) as error:
        partition.write(tmp_path / "folds", manifest, broken or [], config(**settings))
    assert not (tmp_path / "folds").exists()
    return str(error.value)


def test_a_class_in_one_group_alone_is_refused(tmp_path: Path):
    groups = [f"g{number % 8}" for number in range(24)]
    labels = ["only" if group == "g3" else "run" for group in groups]

    told = refusal(tmp_path, corpus(labels, groups))

    assert "Every video of the class 'only' is of one group (g3, 3 that gave frames)" in told
    assert "dataset.folds: 0" in told


def test_a_class_of_one_video_that_gave_frames_is_refused(tmp_path: Path):
    labels = ["run", "jump"] * 10 + ["rare", "rare"]

    assert "is of one group (v20, 1 that gave frames)" in refusal(tmp_path, corpus(labels), ["v21"])
    assert "No video of the class 'rare' gave frames" in refusal(tmp_path, corpus(labels), ["v20", "v21"])


def test_a_corpus_of_which_train_needs_every_group_is_refused(tmp_path: Path):
    told = refusal(tmp_path, corpus(["a", "a", "b", "b"]), folds=2)

    assert "leaves no group for val, as train needs each for some class" in told
    assert "Lower dataset.folds" in told


def test_fewer_groups_than_folds_are_refused(tmp_path: Path):
    groups = [f"g{number % 5}" for number in range(40)]

    assert "5 folds need more than 5 groups of videos, and the corpus has 5" in refusal(
        tmp_path, corpus(["run", "jump"] * 20, groups)
    )
