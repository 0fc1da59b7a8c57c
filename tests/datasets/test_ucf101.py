"""UCF101 as it is published.

Measured on the public lists: 101 classes; train and test of the splits 1, 2 and 3 have 9,537 and 3,783, 9,586 and
3,734, and 9,624 and 3,696 rows; 2,525 recordings, none of them in both. Some of the lists end their lines by CR LF.
"""

from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows

TRAIN = "".join(
    f"{name}/v_{name}_g{group:02d}_c0{clip}.avi {number}\r\n"
    for number, name in ((1, "ApplyEyeMakeup"), (2, "HandstandPushups"))
    for group in range(8, 18)
    for clip in (1, 2)
)
LISTS = {
    "classInd.txt": "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n",
    "trainlist01.txt": TRAIN,
    "testlist01.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\nHandstandPushups/v_HandStandPushups_g01_c01.avi\n",
    "trainlist02.txt": TRAIN.replace("_g08_", "_g05_"),
    "testlist02.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g02_c01.avi 1\n",
}


def test_numbers_count_from_one_and_the_folder_is_the_label_of_test(tmp_path: Path):
    manifest = read(tmp_path, "ucf101", LISTS)
    assert manifest.classes == ("ApplyEyeMakeup", "HandstandPushups")
    assert [rows(manifest)[n][::2] for n in (0, 20)] == [
        ["ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup"],
        ["HandstandPushups/v_HandstandPushups_g08_c01.avi", "HandstandPushups"],
    ]
    assert rows(manifest)[40:] == [
        ["ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "test", "ApplyEyeMakeup"],
        ["HandstandPushups/v_HandStandPushups_g01_c01.avi", "test", "HandstandPushups"],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_val_is_taken_from_train_by_whole_recordings(tmp_path: Path, seed: int):
    table = read(tmp_path, "ucf101", LISTS, split_seed=seed).table
    recordings = table.groupby(table["video"].str.extract(r"(v_.*_g\d+)_")[0])["split"]
    assert (recordings.nunique() == 1).all()
    assert table["split"].value_counts().to_dict() == {"train": 32, "val": 8, "test": 2}


def test_a_setting_says_which_split_is_read(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    manifest = read(tmp_path, "ucf101", LISTS, split_number=2)
    assert "UCF101, 2 classes (published: 101): 40 videos in train, 1 video in test" in caplog.messages
    assert rows(manifest)[-1] == ["ApplyEyeMakeup/v_ApplyEyeMakeup_g02_c01.avi", "test", "ApplyEyeMakeup"]
    with pytest.raises(ValueError, match="split_number must be 1, 2 or 3"):
        read(tmp_path, "ucf101", LISTS, split_number=4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"testlist01.txt": None}, "lists has no list of test, which is called testlist01.txt"),
        ({"classInd.txt": None}, "lists has no class file, which is called classind.txt"),
        ({"classInd.txt": "0 ApplyEyeMakeup\n1 HandstandPushups\n"}, "line 1: the class 0 comes where 1 should"),
        ({"classInd.txt": "1 ApplyEyeMakeup\n"}, "line 21: the label 'HandstandPushups' is not in"),
        ({"trainlist01.txt": TRAIN.replace(" 1\r", " 2\r", 1)}, "line 1: the number 2 is not that of the folder 'App"),
        ({"trainlist01.txt": "v_Run_g01_c01.avi 1\n"}, "trainlist01.txt, line 1: 'v_Run_g01_c01.avi 1' is no"),
        ({"trainlist01.txt": "Run/v_Run_g01_c01.avi\n"}, "line 1: 'Run/v_Run_g01_c01.avi' is no `Class/clip.avi n"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "ucf101", files)
