"""What all formats share: groups that stay whole, splits that are made, and what is said of likely mistakes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest
from pipeline.datasets import _rows
from pipeline.datasets._rows import Row, alike


def config(**settings: object) -> DatasetConfig:
    given = dict(format="folder", root="videos", annotations="labels.csv", after="conf", generated=(), classes=None,
                 val_share=0.15, test_share=0.15, split_seed=0)  # fmt: skip
    return DatasetConfig(**given | settings)


def rows(videos: int = 60, split: str = "", people: int = 12) -> list[Row]:
    """Videos of three classes and of people of whom each shows every class."""
    return [
        Row.of(
            f"line {n}",
            f"p{n % people:02d}/{n}.mp4",
            [("run", "jump", "swim")[n // people % 3]],
            split,
            f"p{n % people:02d}",
        )
        for n in range(videos)
    ]


def splits_of_groups(manifest: Manifest) -> dict[str, set[str]]:
    found = defaultdict(set)
    for row in manifest.table.itertuples(index=False):
        found[manifest.groups[row.video]].add(row.split)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_split_that_is_made_tears_no_group_apart(seed: int):
    manifest = _rows.manifest(config(split_seed=seed), rows())

    assert all(len(splits) == 1 for splits in splits_of_groups(manifest).values())
    assert set(manifest.table["split"]) == {"train", "val", "test"}
    assert manifest.table["split"].value_counts()["train"] == pytest.approx(42, abs=6)
    without = _rows.manifest(config(split_seed=seed), [row._replace(group="") for row in rows()])
    assert without.groups == {}
    assert without.table["split"].tolist() != manifest.table["split"].tolist()


def test_a_pattern_finds_the_groups_in_the_paths():
    bare = [row._replace(group="") for row in rows()]
    by_column = _rows.manifest(config(), rows())

    for pattern in (r"^p\d\d", r"^(p\d\d)/", r"^(?:x|(p\d\d))"):
        assert _rows.manifest(config(group_pattern=pattern), bare).groups == by_column.groups
    with pytest.raises(UserError, match="fits no path, not 'p00/0.mp4' for one"):
        _rows.manifest(config(group_pattern="_g(.*)_"), bare)
    with pytest.raises(UserError, match="has groups, so dataset.group_pattern must be null"):
        _rows.manifest(config(group_pattern="p"), rows())
    with pytest.raises(ValueError, match="is no regular expression"):
        config(group_pattern="(")


def test_a_group_across_given_splits_is_named(caplog):
    given = [row._replace(split=("train", "val", "test")[n % 12 // 4]) for n, row in enumerate(rows())]
    _rows.manifest(config(), given)
    assert not [text for text in caplog.messages if "tear" in text]
    given[0] = given[0]._replace(split="test")
    _rows.manifest(config(), given)
    (said,) = [text for text in caplog.messages if "tear" in text]
    assert "tear 1 of 12 groups apart" in said
    assert "'p00' (train, test)" in said


def test_val_is_taken_from_train_where_it_lacks(caplog):
    caplog.set_level("INFO")
    given = [row._replace(split="test" if n % 12 < 2 else "train") for n, row in enumerate(rows(120))]
    manifest = _rows.manifest(config(), given)

    assert all(len(splits) == 1 for splits in splits_of_groups(manifest).values())
    counts = manifest.table["split"].value_counts()
    assert counts["test"] == 20
    assert 10 <= counts["val"] <= 20
    assert "has no val: taken from train" in caplog.text


UNLABELLED = [
    *rows(12, "train", 3),
    Row.of("line 90", "none.mp4", [], "train"),
    Row.of("line 91", "v.mp4", ["run"], "val"),
    Row.of("line 92", "vnone.mp4", [], "val"),
]
TEST = [Row.of("line 93", "t.mp4", ["run"], "test"), Row.of("line 94", "tnone.mp4", [], "test")]


def test_videos_without_a_label_are_refused_or_show_none_of_the_classes(caplog):
    with pytest.raises(UserError, match=r"^line 90: 'none.mp4' has no label; .* set dataset.unlabelled: negative"):
        _rows.manifest(config(), [*UNLABELLED, *TEST])
    caplog.set_level("INFO")
    table = _rows.manifest(config(unlabelled="negative"), [*UNLABELLED, *TEST]).table
    assert table["labels"].tolist()[12:] == [";", "run", ";", "run", ";"]
    assert "labels.csv: 3 videos without a class (dataset.unlabelled)" in caplog.messages


def test_a_test_in_which_no_video_has_a_label_is_not_scored():
    table = _rows.manifest(config(unlabelled="negative"), [*UNLABELLED, TEST[1]]).table
    assert table["labels"].tolist()[12:] == [";", "run", ";", ""]


def test_videos_of_no_class_are_dealt_to_splits_that_are_made():
    given = [
        *rows(60),
        *(Row.of(f"line {n}", f"none/{n}.mp4", []) for n in range(40)),
    ]
    table = _rows.manifest(config(unlabelled="negative"), given).table
    assert table[table["labels"] == ";"]["split"].value_counts().to_dict() == {"train": 28, "val": 6, "test": 6}


def test_too_few_groups_for_a_split_are_said():
    with pytest.raises(UserError, match="60 videos in 2 groups of 3 classes cannot be split so that val has one"):
        _rows.manifest(config(), rows(people=2))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Run", "run", "jump"], "'Run' and 'run'"),
        (["long jump", "Longjump"], "'long jump' and 'Longjump'"),
        (["caf\u00e9", "cafe\u0301"], r"'caf\xe9' and 'cafe\u0301'"),
        (["run", "r\u200bun"], r"'run' and 'r\u200bun'"),
        (["STRASSE", "stra\u00dfe"], "'STRASSE' and 'stra\u00dfe'"),
    ],
)
def test_labels_that_look_alike_are_named(names: list[str], said: str):
    (sentence,) = alike(names)
    assert sentence.startswith(f"the labels {said} differ only by")


def test_of_many_labels_that_look_alike_the_first_are_named():
    *named, last = alike([name for n in range(8) for name in (f"run{n}", f"Run{n}")])
    assert [f"'run{n}' and 'Run{n}'" in text for n, text in enumerate(named)] == [True] * 5
    assert last == "3 more sets of labels differ only so."


def test_a_label_that_is_almost_one_of_the_list_is_told_its_name(tmp_path):
    (tmp_path / "classes.txt").write_text("run\njump\n")
    given = [Row.of("line 1", "x.mp4", ["Jump "])]
    with pytest.raises(UserError, match=r"line 1: the label 'Jump' is not in .*, which has 'jump' instead of 'Jump'"):
        _rows.manifest(config(classes=str(tmp_path / "classes.txt")), given)


def test_labels_that_differ_are_not_named():
    assert alike(["run", "runs", "resume", "r\u00e9sum\u00e9", "1", "10"]) == []


def test_labels_that_look_alike_are_a_warning_of_the_corpus(caplog):
    _rows.manifest(config(), [*rows(), Row.of("line 61", "x.mp4", ["Run"])])
    assert any("labels.csv: the labels 'Run' and 'run'" in text for text in caplog.messages)


def test_a_name_that_is_no_utf8_is_refused():
    with pytest.raises(UserError, match="is no UTF-8"):
        Row.of("here", "gr\udcfcn.mp4", ["run"])


def test_a_long_list_is_cut_short():
    assert _rows.some(range(5)) == "0, 1, 2, 3, 4"
    assert _rows.some(range(8)) == "0, 1, 2, 3, 4 and 3 more"


CATEGORIES = 'Tag,Category\nrun,action\njump,action\ngrass,object\n"sea, lake",scene\n'


def by_category(tmp_path: Path, labels: Sequence[str], text: str = CATEGORIES, **settings: object) -> list[str]:
    (tmp_path / "tags.csv").write_text(text)
    every = Row.of("line 1", "all.mp4", ["run", "jump", "grass", "sea, lake"], "train")
    rows = [Row.of("line 2", f"{n}.mp4", its.split(";"), SPLITS[n % 3]) for n, its in enumerate(labels)]
    found = _rows.manifest(config(categories=str(tmp_path / "tags.csv"), **settings), [every, *rows])
    return found.table["labels"].tolist()[1:]


def test_of_a_category_without_a_label_nothing_is_known(tmp_path: Path):
    labels = ["run", "grass;jump", "sea, lake;run;grass", "grass;?run", ""]
    assert by_category(tmp_path, labels, unlabelled="negative") == [
        "run;?grass;?sea, lake",
        "grass;jump;?sea, lake",
        "sea, lake;run;grass",
        "grass;?run;?jump;?sea, lake",
        ";",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CATEGORIES.replace("run,action", "walk,action"), r"tags.csv has no category of the class 'run'\. Add a line"),
        (CATEGORIES.replace('"', ""), "tags.csv, line 5: 3 cells, not `class,category`. Quote"),
    ],
)
def test_what_is_wrong_with_categories_is_said(tmp_path: Path, text: str, said: str):
    with pytest.raises(UserError, match=said):
        by_category(tmp_path, ["run", "run", "run"], text)


def test_a_file_of_categories_that_is_not_there_is_named_with_its_setting(tmp_path: Path):
    with pytest.raises(UserError, match=r"none.csv does not exist\. Set dataset\.categories"):
        _rows.manifest(config(categories=str(tmp_path / "none.csv")), [*UNLABELLED[:9], *TEST])


def test_a_label_that_is_not_known_is_named_once():
    row = Row.of("line 1", "v.mp4", ["?run", "? run", "jump", " ?run "])
    assert (row.labels, row.unknown) == (("jump",), ("run",))
