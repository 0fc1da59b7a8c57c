"""Kinetics as it is published.

Measured on the public CSVs of ActivityNet's crawler: Kinetics-400 has 19,906 rows of 400 classes in val and 38,685 in
test; Kinetics-600 30,000 rows of 600 classes and 72,924. Those of test have no column `label`. No clip is listed twice;
1,192 ids begin with "-". None of the clips is at hand.
"""

from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
LISTS = {
    "kinetics-400_train.csv": HEADER + "abseiling,-aBc_12dEfG,17,27,train,0\nhurling (sport),Zz9,2,12,train,1\n"
    '"massaging person\'s head",q1,31,41,train,0\n',
    "kinetics-400_val.csv": HEADER + "abseiling,v_1,0,10,validate,0\n",
    "kinetics-400_test.csv": "youtube_id,time_start,time_end,split\nt-1,5,15,test\n",
}
FLAT = ("train/-aBc_12dEfG_000017_000027.mp4", "train/Zz9_000002_000012.mp4", "train/q1_000031_000041.mp4",
        "val/v_1_000000_000010.mp4", "test/t-1_000005_000015.mp4")  # fmt: skip
CLASS_FOLDERS = (
    "train/abseiling/-aBc_12dEfG_000017_000027.mp4", "train/hurling_(sport)/Zz9_000002_000012.mp4",
    "train/massaging person's head/q1_000031_000041.mkv", "val/abseiling/v_1_000000_000010.mp4",
    "test/t-1_000005_000015.mp4",
)  # fmt: skip
LABELS = ["abseiling", "hurling (sport)", "massaging person's head", "abseiling", ""]
SPLITS = ["train", "train", "train", "val", "test"]


@pytest.mark.parametrize("clips", [FLAT, CLASS_FOLDERS])
def test_clips_are_found_in_flat_folders_and_in_those_of_classes(tmp_path: Path, clips: tuple[str, ...]):
    manifest = read(tmp_path, "kinetics", LISTS, clips)
    assert rows(manifest) == [list(row) for row in zip(clips, SPLITS, LABELS, strict=True)]


def test_a_missing_clip_has_the_path_of_the_archives(tmp_path: Path):
    assert [path for path, *_ in rows(read(tmp_path, "kinetics", LISTS))] == list(FLAT)


def test_a_replacement_comes_before_the_corrupt_clip(tmp_path: Path):
    better = "replacement/replacement_for_corrupted_k400/Zz9_000002_000012.mp4"
    assert rows(read(tmp_path, "kinetics", LISTS, (*FLAT, better)))[1][0] == better


def test_of_a_clip_in_two_splits_each_list_takes_its_own(tmp_path: Path, caplog):
    files = LISTS | {"kinetics-400_val.csv": HEADER + "abseiling,Zz9,2,12,val,0\n"}
    manifest = read(tmp_path, "kinetics", files, ("train/Zz9_000002_000012.mp4", "val/Zz9_000002_000012.mp4"))
    assert [rows(manifest)[n][0] for n in (1, 3)] == ["train/Zz9_000002_000012.mp4", "val/Zz9_000002_000012.mp4"]
    assert "in more than one folder" not in caplog.text
    read(tmp_path, "kinetics", files, ("train/a/Zz9_000002_000012.mp4",))
    assert (
        "1 clip in more than one folder, the first is taken: train/Zz9_000002_000012.mp4 (and train/a/" in caplog.text
    )


def test_the_column_says_the_split_and_not_the_name_of_the_file(tmp_path: Path):
    files = LISTS | {"kinetics-400_test.csv": HEADER + "abseiling,x,0,10,train,0\n"}
    told = refusal(tmp_path, "kinetics", files)
    assert "has no video in the split 'test'" in told


def test_classes_are_sorted_names_as_they_stand_or_those_of_a_file(tmp_path: Path):
    assert read(tmp_path, "kinetics", LISTS).classes == ("abseiling", "hurling (sport)", "massaging person's head")
    named = {**LISTS, "names.txt": "massaging person's head\nabseiling\nhurling (sport)\n"}
    assert read(tmp_path, "kinetics", named, classes="names.txt").classes[0] == "massaging person's head"
    with_blanks = {**LISTS, "names.txt": "abseiling\nhurling_(sport)\nmassaging_person's_head\n"}
    told = refusal(tmp_path, "kinetics", with_blanks, classes="names.txt")
    assert "kinetics-400_train.csv, line 3: the label 'hurling (sport)' is not in" in told


def test_counts_are_told_with_those_published(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    more = "".join(f"c{n},{n}x,0,10,train,0\n" for n in range(397))
    read(tmp_path, "kinetics", LISTS | {"kinetics-400_train.csv": LISTS["kinetics-400_train.csv"] + more})
    expected = "Kinetics-400, 400 classes: 400 videos in train of 246,534 published, 1 video in val of 19,906 published"
    assert f"{expected}, 1 video in test" in caplog.messages


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kinetics-400_val.csv": None}, "no list of val, which is called *val*.csv"),
        ({"kinetics-600_train.csv": HEADER}, "2 files that may be the list of train: kinetics-400_train.csv, kin"),
        ({"kinetics-400_train.csv": "abseiling,a,0,1,train\n"}, "train.csv, line 1: there is no column 'youtube_id'"),
        ({"kinetics-400_train.csv": HEADER + "a,b,x,10,train,0\n"}, "train.csv, line 2: could not convert"),
        ({"kinetics-400_train.csv": HEADER + "a,b,0,inf,train,0\n"}, "line 2: cannot convert float infinity"),
        ({"kinetics-400_train.csv": HEADER + "a,b,0,10,dev,0\n"}, "line 2: the split 'dev' is none of train, train"),
        ({"kinetics-400_train.csv": HEADER + "a,b,c,0,10,train,0\n"}, "line 2: 7 cells, and the header has 6"),
        ({"kinetics-400_train.csv": HEADER + ",b,0,10,train,0\n"}, "line 2: 'train/b_000000_000010.mp4' has no label"),
        ({"kinetics-400_train.csv": HEADER + "a,b,0,10,train,0\n" * 2}, "line 3: 'train/b_000000_000010.mp4' occurs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "kinetics", files)
