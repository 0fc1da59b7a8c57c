"""The manifest: what it holds can be read, comes back from its file, and whatever is wrong with it is said."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.names import safe_path

CLASSES = ("jump", "run", "swim")


def record(video: str, split: str = "train", labels: str = "jump;run;swim", path: str | None = None) -> VideoRecord:
    return VideoRecord(video, split, path or video, labels, "10-abc")


def manifest(*changed: VideoRecord, classes: tuple[str, ...] = CLASSES) -> Manifest:
    """One right video a split, and more."""
    right = [record("1.mp4"), record("2.mp4", "val", "jump"), record("3.mp4", "test", "run")]
    return Manifest.from_records([*right, *changed], classes)


def refusal(*changed: VideoRecord, classes: tuple[str, ...] = CLASSES) -> str:
    with pytest.raises(UserError) as error:
        manifest(*changed, classes=classes)
    return str(error.value)


def test_labels_become_a_one_in_the_column_of_the_class():
    targets = manifest(record("4.mp4", "val", "swim;jump")).targets()

    assert targets.tolist() == [[1, 1, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert targets.dtype == np.int8


def test_a_video_without_labels_has_no_one():
    unlabelled = Manifest.from_records(
        [record("1.mp4"), record("2.mp4", "val"), record("3.mp4", "test", ""), record("4.mp4", "test", "")], CLASSES
    )

    assert unlabelled.targets()[2:].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_targets_equal_a_loop_over_the_labels():
    rng = np.random.default_rng(0)
    words = [";".join(rng.permutation(CLASSES)[: rng.integers(1, 4)]) for _ in range(50)]
    many = manifest(*(record(f"x{number}.mp4", "val", labels) for number, labels in enumerate(words)))

    for row, labels in zip(many.targets()[3:], words, strict=True):
        assert row.tolist() == [int(name in labels.split(";")) for name in CLASSES]


def test_a_split_keeps_the_order_and_counts_its_rows_anew():
    both = manifest(record("0.mp4", "val", "swim")).split("val")

    assert both.videos == ["2.mp4", "0.mp4"]
    assert both.targets().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert len(both) == 2
    assert both.classes == CLASSES


def test_videos_are_taken_out_by_id():
    left = manifest().without(["2.mp4", "nobody.mp4"])

    assert left.videos == ["1.mp4", "3.mp4"]
    assert left.targets().tolist() == [[1, 1, 1], [0, 1, 0]]


def test_a_manifest_comes_back_from_its_files(tmp_path: Path):
    odd = ('quo"te.mp4', "'single'.mp4", "grün/視頻 1.mp4", "NA", " blank .mp4", "back\\slash.mp4", "100%#,;.mp4")
    classes = ('"quoted" class', "grün", "NA", "null", "1")
    rows = [record(f"{split}/{video}", split, ";".join(classes)) for video in odd for split in SPLITS]
    written = Manifest.from_records(rows, classes)

    written.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    read = Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")

    assert [VideoRecord(*row) for row in read.table.itertuples(index=False)] == rows
    assert read.classes == classes
    assert np.array_equal(read.targets(), written.targets())


def test_a_manifest_is_a_table_that_a_person_can_read(tmp_path: Path):
    manifest().write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")

    assert (tmp_path / "manifest.tsv").read_text().splitlines() == [
        "video\tsplit\tpath\tlabels\tfingerprint",
        "1.mp4\ttrain\t1.mp4\tjump;run;swim\t10-abc",
        "2.mp4\tval\t2.mp4\tjump\t10-abc",
        "3.mp4\ttest\t3.mp4\trun\t10-abc",
    ]
    assert (tmp_path / "classes.txt").read_text() == "jump\nrun\nswim\n"


def test_a_large_manifest_comes_back_whole(tmp_path: Path):
    rows = [record(f"{n:06d}.mp4", SPLITS[n % 3], CLASSES[n // 3 % 3]) for n in range(20_000)]
    Manifest.from_records(rows, CLASSES).write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")

    read = Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    assert read.videos == [row.video for row in rows]
    assert read.targets().argmax(axis=1).tolist() == [n // 3 % 3 for n in range(20_000)]


def test_a_video_of_no_class_may_be_of_any_split_and_comes_back(tmp_path: Path):
    made = manifest(record("4.mp4", "train", ";"), record("5.mp4", "val", ";"), record("6.mp4", "test", ";"))
    made.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    read = Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    assert read.targets().tolist() == [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert read.table["labels"].tolist()[3:] == [";", ";", ";"]


def test_one_more_video_is_one_more_line(tmp_path: Path):
    manifest().write(tmp_path / "before.tsv", tmp_path / "classes.txt")
    manifest(record("0.mp4", "val")).write(tmp_path / "after.tsv", tmp_path / "classes.txt")

    before, after = ((tmp_path / f"{name}.tsv").read_text().splitlines() for name in ("before", "after"))
    assert after == [*before, "0.mp4\tval\t0.mp4\tjump;run;swim\t10-abc"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (record("1.mp4"), "line 5: the id '1.mp4' occurs twice"),
        (record("4.mp4", "training"), "line 5: 4.mp4: the split 'training' is none of train, val, test"),
        (record("4.mp4", ""), "line 5: 4.mp4: the split '' is none of"),
        (record("4.mp4", path="/etc/4.mp4"), "line 5: 4.mp4: the path '/etc/4.mp4' leaves the corpus' root"),
        (record("4.mp4", path="../4.mp4"), "the path '../4.mp4' leaves the corpus' root"),
        (record("4.mp4", path="a/../../4.mp4"), "the path 'a/../../4.mp4' leaves the corpus' root"),
        (record("4.mp4", path="a/.."), "the path 'a/..' leaves the corpus' root"),
        (record("4.mp4", path="C:/4.mp4"), "the path 'C:/4.mp4' leaves the corpus' root"),
        (record("4.mp4", labels="jump;fly"), "line 5: 4.mp4 has the label 'fly', which no class list knows"),
        (record("4.mp4", labels="jump;;run"), "4.mp4 has the label ''"),
        (record("4.mp4", labels=""), "line 5: 4.mp4 (train) has no label; only test may"),
        (record("4.mp4", "val", ""), "line 5: 4.mp4 (val) has no label; only test may"),
        (record("4.mp4", "test", ""), "1 of 2 test videos have no label, e.g. '4.mp4'"),
        (record("x" * 501), "longer than 500 bytes"),
        (record("ü" * 251), "longer than 500 bytes"),
        (record(""), "line 5: the id '' is empty"),
        (record("a\tb"), "unprintable"),
        (record("a\nb"), "unprintable"),
        (record("a\u2028b"), "unprintable"),
    ],
)
def test_a_wrong_video_is_refused_with_its_line_and_what_is_wrong(wrong: VideoRecord, message: str):
    assert message in refusal(wrong)


@pytest.mark.parametrize("path", ["a..b.mp4", "..a/b.mp4", "a../b.mp4", "a/b..mp4", "...mp4"])
def test_two_dots_inside_a_name_are_no_way_out(path: str):
    assert path in manifest(record(path)).videos


def test_many_wrong_rows_are_counted():
    assert refusal(record("4.mp4", "x"), record("5.mp4", "x")).endswith("(2 such rows).")


def test_a_class_that_no_train_video_has_is_refused():
    assert "no train video is labelled 'fly'" in refusal(record("4.mp4", "val", "fly"), classes=(*CLASSES, "fly"))


def test_five_of_many_missing_classes_are_named():
    message = refusal(classes=(*CLASSES, *"abcdefg"))

    assert "'a', 'b', 'c', 'd', 'e' (7 classes in all)" in message


@pytest.mark.parametrize("empty", ["val", "test"])
def test_a_split_without_a_video_is_refused(empty: str):
    rows = [record(f"{split}.mp4", split) for split in SPLITS if split != empty]

    with pytest.raises(UserError, match=f"no video in the split '{empty}'; it needs all of train, val, test"):
        Manifest.from_records(rows, CLASSES)


def test_a_corpus_without_a_train_video_is_refused():
    with pytest.raises(UserError, match="no train video is labelled 'jump', 'run', 'swim'"):
        Manifest.from_records([record("1.mp4", "val"), record("2.mp4", "test")], CLASSES)


def test_a_corpus_without_a_video_is_refused():
    with pytest.raises(UserError, match="no train video"):
        Manifest.from_records([], CLASSES)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "has no classes"),
        ((*CLASSES, "jump"), "the class 'jump' is listed twice"),
        ((*CLASSES, ""), "'' cannot be a class name"),
        ((*CLASSES, " fly"), "' fly' cannot be a class name"),
        ((*CLASSES, "a;b"), "'a;b' cannot be a class name"),
        ((*CLASSES, "a\tb"), "cannot be a class name"),
        ((*CLASSES, "a\u2028b"), "cannot be a class name"),
        ((*CLASSES, "a\x85b"), "cannot be a class name"),
        ((*CLASSES, "video"), "'video' cannot be a class name, since prediction files have such a column"),
        ((*CLASSES, "status"), "'status' cannot be a class name"),
        ((*CLASSES, "labels"), "'labels' cannot be a class name"),
    ],
)
def test_a_wrong_class_list_is_refused(classes: tuple[str, ...], message: str):
    assert message in refusal(classes=classes)


def test_a_mistake_of_the_corpus_is_said_of_the_file_that_it_comes_from():
    with pytest.raises(UserError, match=r"^my/labels\.csv has no video in the split 'test'"):
        Manifest.from_records([record("1.mp4"), record("2.mp4", "val")], CLASSES, where="my/labels.csv")


def test_a_manifest_is_checked_again_when_it_is_read(tmp_path: Path):
    manifest().write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    text = (tmp_path / "manifest.tsv").read_text()
    (tmp_path / "manifest.tsv").write_text(text.replace("2.mp4\tval\t2.mp4", "2.mp4\tval\t/etc/passwd"))

    with pytest.raises(UserError, match=r"manifest\.tsv, line 3: 2\.mp4: the path '/etc/passwd' leaves"):
        Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")


@pytest.mark.parametrize("missing", ["manifest.tsv", "classes.txt"])
def test_a_missing_file_is_named_with_the_stage_that_makes_it(tmp_path: Path, missing: str):
    manifest().write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    (tmp_path / missing).unlink()

    with pytest.raises(UserError, match=rf"{missing} does not exist. `dvc repro index`"):
        Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a.mp4", "a.mp4"),
        ("./a.mp4", "a.mp4"),
        ("b//a.mp4", "b/a.mp4"),
        ("b/./a.mp4", "b/a.mp4"),
        ("b\\a.mp4", "b/a.mp4"),
        ("a b/ü.mp4", "a b/ü.mp4"),
        ("-a..b.mp4", "-a..b.mp4"),
    ],
)
def test_a_path_has_one_normal_form(text: str, normal: str):
    assert safe_path(text, "labels.csv, line 2") == normal


@pytest.mark.parametrize(
    "text",
    ["/a.mp4", "../a.mp4", "b/../../a.mp4", "..", "..\\a.mp4", "\\\\host\\a.mp4", "C:\\a.mp4", "c:a.mp4", "", " ", "."],
)
def test_a_path_that_leaves_the_root_or_is_no_file_is_refused(text: str):
    with pytest.raises(UserError, match=r"^labels.csv, line 2: the path"):
        safe_path(text, "labels.csv, line 2")


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\u2028b", "x" * 501])
def test_a_path_that_cannot_be_a_key_is_refused(text: str):
    with pytest.raises(UserError, match=r"^labels.csv, line 2: the path"):
        safe_path(text, "labels.csv, line 2")


def test_a_label_that_nobody_knows_is_minus_one_and_comes_back_from_the_file(tmp_path: Path):
    made = manifest(record("4.mp4", "val", "swim;?jump"), record("5.mp4", "test", "?run"))
    made.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    read = Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    assert read.targets()[3:].tolist() == [[-1, 0, 1], [0, -1, 0]]
    assert read.split("test").targets().tolist() == [[0, 1, 0], [0, -1, 0]]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("run;?dive", "has the label 'dive', which no class list knows"),
        ("run;?run", "4.mp4: a class stands twice among the labels 'run;?run'"),
        ("?jump;?run;?swim", "4.mp4: no label is known, so it teaches and tests nothing; drop it"),
    ],
)
def test_what_is_wrong_with_labels_that_nobody_knows_is_said(labels: str, said: str):
    assert f"line 5: {said}" in refusal(record("4.mp4", "val", labels)).replace("4.mp4 has", "has")


def test_a_class_that_nobody_knows_of_any_train_video_is_not_learnt():
    with pytest.raises(UserError, match="no train video is labelled 'swim'"):
        Manifest.from_records([record("1.mp4", labels="jump;run;?swim"), record("2.mp4", "val")], CLASSES)


def test_no_class_has_the_mark_of_an_unknown_label():
    assert "'?jump' cannot be a class name: '?' marks" in refusal(classes=("?jump", "run", "swim"))
