"""How a folder of clips is annotated, guessed from names of files and the heads of tables."""

from pathlib import Path

import pytest

from pipeline.cli import layout
from pipeline.cli.layout import Layout, group_pattern, guess
from pipeline.core.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("place", ["clips/labels.csv", "any name.csv", "clips/annotations.tsv"])
def test_a_table_in_or_beside_the_folder_is_found(tmp_path: Path, place: str):
    root = touch(tmp_path / "clips", "a.mp4", "b.mp4")
    (tmp_path / "notes.txt").write_text("See the readme.\n")
    (tmp_path / "old.txt").write_bytes(b"gr\xfcn.mp4 run")
    (tmp_path / "huge cell.csv").write_text("path,label\n" + "x" * 200_000)
    (tmp_path / place).write_text("path,labels\na.mp4,run\nb.mp4,jump\n".replace(",", "\t" if "tsv" in place else ","))

    found = guess(root, None)
    assert (found.format, found.columns, found.splits) == ("folder", {}, False)
    assert found.annotations.resolve() == tmp_path / place


def test_columns_of_other_names_are_told_apart(tmp_path: Path):
    (tmp_path / "x.csv").write_text("id;File Name;Filename;Category;Subject_ID;subset;set\n1;b;a.mp4;run;7;train;x\n")
    touch(tmp_path, "a.mp4")
    found = guess(tmp_path, tmp_path / "x.csv")

    assert found.columns == {"path": "filename", "labels": "category", "group": "subject_id", "split": "subset"}
    assert found.splits


def test_columns_of_times_are_those_of_segments(tmp_path: Path):
    (tmp_path / "x.csv").write_text("video,action,Start_Time,end_time\na.mp4,run,1.5,2\n")
    touch(tmp_path, "a.mp4")

    assert guess(tmp_path, None).columns == {
        "path": "video", "labels": "action", "start": "start_time", "end": "end_time"
    }  # fmt: skip


def test_a_column_that_holds_no_splits_is_none(tmp_path: Path):
    (tmp_path / "x.csv").write_text("path,label,set\na.mp4,run,7\n")
    assert guess(tmp_path, tmp_path / "x.csv") == Layout(
        "folder", tmp_path / "x.csv", "a table with the columns path, label"
    )


def test_a_table_of_other_videos_is_left_alone(tmp_path: Path):
    root = touch(tmp_path / "clips", "run/a.mp4", "jump/b.mp4")
    (tmp_path / "other.csv").write_text("path,labels\nx.mp4,run\n")
    assert guess(root, None).format == "class_folders"


def test_two_tables_of_the_same_videos_must_be_told_apart(tmp_path: Path):
    touch(tmp_path, "a.mp4")
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text("path,labels\na.mp4,run\n")
    with pytest.raises(UserError, match=r"several files list its videos \(.*new.csv, .*old.csv\). Say which"):
        guess(tmp_path, None)


def test_lists_are_found_alone_and_by_split(tmp_path: Path):
    touch(tmp_path, "a.mp4", "b b.mp4")
    (tmp_path / "train.txt").write_text("a.mp4 0\n")
    (tmp_path / "classes.txt").write_text("run\n")
    one = guess(tmp_path, None)
    assert (one.format, one.annotations, one.splits) == ("lists", tmp_path / "train.txt", False)
    (tmp_path / "test.txt").write_text("b b.mp4 0\n")
    both = guess(tmp_path, None)
    assert (both.format, both.annotations, both.splits) == ("lists", tmp_path, True)
    assert layout.class_file(both) == tmp_path / "classes.txt"


def test_class_folders_are_found_with_and_without_splits(tmp_path: Path):
    assert not guess(touch(tmp_path / "a", "run/a.mp4", "jump/b.mp4"), None).splits
    assert guess(touch(tmp_path / "b", "train/run/a.mp4", "test/run/b.mp4"), None).splits


def test_what_is_not_annotated_is_refused_with_what_would_do(tmp_path: Path):
    touch(tmp_path / "clips", "a.mp4", "b.mp4")
    with pytest.raises(
        UserError,
        match=r"has 2 videos, and nothing that says what they show.* Where 'clips' is a class, give the folder above",
    ):
        guess(tmp_path / "clips", None)
    (tmp_path / "moved.csv").write_text("path,label\nold/a.mp4,run\n")
    with pytest.raises(UserError, match="moved.csv is such a CSV, but its paths are those of no files in"):
        guess(tmp_path / "clips", None)
    (tmp_path / "x.txt").write_text("\n")
    with pytest.raises(UserError, match="neither a CSV with columns for path and label nor a list"):
        guess(tmp_path / "clips", tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"Run/v_Run_g{g:02d}_c{c:02d}.avi" for g in range(5) for c in range(3)], 5),
        ([f"{label}/subject{p:02d}_{n}.mp4" for label in ("run", "jump") for p in range(4) for n in range(3)], 4),
        ([f"{label}/Person {p}/{n}.mp4" for label in ("run", "jump") for p in range(3) for n in range(3)], 3),
        ([f"run/clip_{n:03d}.mp4" for n in range(20)], None),
        ([f"run/subject{n % 2}_{n}.mp4" for n in range(20)], None),  # of two groups no three splits can be made
        ([f"run/subject{n:02d}.mp4" for n in range(20)], None),  # a group of one video each is none
        ([*(f"run/subject{n % 4}_{n}.mp4" for n in range(20)), "run/other.mp4"], None),
    ],
)
def test_groups_are_seen_in_plain_names_alone(names: list[str], groups: int | None):
    import re

    pattern = group_pattern(names)
    found = None if pattern is None else len({re.search(pattern, name)[1] for name in names})
    assert found == groups


@pytest.mark.parametrize("rest", ["", ",1.5"])
def test_a_table_whose_columns_nobody_knows_is_no_list(tmp_path: Path, caplog, rest: str):
    root = touch(tmp_path / "clips", *(f"{n}.mp4" for n in range(9)))
    head = "filename,emotion" + (",duration" if rest else "")
    (root / "x.csv").write_text("\n".join([head, *(f"{n}.mp4,happy{rest}" for n in range(9))]))
    with pytest.raises(UserError, match="nothing that says what they show"):
        guess(root, None)
    assert "left alone: " in caplog.text
    assert "the columns 'filename', 'emotion'" in caplog.text
    with pytest.raises(UserError, match="x.csv: the columns 'filename', 'emotion'.* path,label"):
        guess(root, root / "x.csv")


def test_a_table_that_is_no_utf8_is_named(tmp_path: Path, caplog):
    root = touch(tmp_path / "clips", "gehen/a.mp4")
    (root / "labels.csv").write_bytes("path,label\ngehen/a.mp4,grüßen\n".encode("latin-1"))
    assert guess(root, None).format == "class_folders"
    assert "left alone: " in caplog.text
    assert "labels.csv, line 2: no text in UTF-8" in caplog.text


def test_paths_as_windows_writes_them_are_those_of_files(tmp_path: Path):
    root = touch(tmp_path / "clips", "day 1/a.mp4")
    (root / "labels.csv").write_text("path,label\nday 1\\a.mp4,run\n")
    assert guess(root, None).format == "folder"


def test_splits_by_other_names_are_not_replaced_by_a_split_that_is_made(tmp_path: Path):
    (tmp_path / "x.csv").write_text("path,label,subset\na.mp4,run,training\nb.mp4,run,Validation\n")
    found = guess(tmp_path, tmp_path / "x.csv")
    assert (found.columns, found.splits) == ({"split": "subset"}, True), "the reader says which word it does not know"


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        (
            "annotations/kinetics-400_train.csv",
            "label,youtube_id,time_start,time_end,split\n",
            "dataset=kinetics, with",
        ),
        ("Charades_v1_train.csv", "id,subject,scene\n", "dataset=charades, with"),
        ("splits/wave_test_split1.txt", "a.avi 1\n", "dataset=hmdb51, with"),
        ("trainingSet.csv", "a/b.mp4,1\n", "dataset=moments or multi_moments, with"),
    ],
)
def test_a_public_corpus_is_sent_to_its_own_settings(tmp_path: Path, place: str, text: str, said: str):
    touch(tmp_path, "train/a/1.mp4", place)
    (tmp_path / place).write_text(text)
    with pytest.raises(UserError) as error:
        guess(tmp_path, None)
    assert said in str(error.value)
    assert f"dataset.annotations={(tmp_path / place).parent}." in str(error.value)


def test_a_list_of_ones_own_is_not_taken_for_that_of_a_public_corpus(tmp_path: Path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "my_train.csv").write_text("path,label\na.mp4,run\nb.mp4,jump\n")
    assert guess(tmp_path, None).format == "folder"
