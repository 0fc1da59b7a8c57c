"""Charades as it is published.

Measured on a public copy of its files: 7,985 rows in train, of which 174 have no action, and 1,863 in test, of which 49
have none; 157 classes, all of them in both; 214 and 53 subjects, none of them in both.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.published import read, refusal, rows

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
CLASSES = "c000 Holding some clothes\nc001 Taking a phone/camera\nc002 Sitting down\n"
TRAIN = (
    HEADER + 'A1B2C,S1,Kitchen,6,7,Yes,"He sits, then stands.",cup,y,c002 1.00 9.00;c000 0.00 9.00,8.50\n'
    "D3E4F,S2,Hallway,5,,No,x,,y,,30.25\n"
    "G5H6I,S1,Stairs,7,7,Yes,x,broom,y,c001 0.00 5.00;c001 6.30 12.30,29.62\n"
    + "".join(f"X{n},T{n},Stairs,7,7,Yes,x,broom,y,c00{n % 3} 0.00 5.00,9\n" for n in range(12))
)
ACTIONS = (("Sitting down", 1.0, 9.0), ("Holding some clothes", 0.0, 9.0))
"""Those of A1B2C."""
LISTS = {
    "Charades_v1_classes.txt": CLASSES,
    "Charades_v1_train.csv": TRAIN,
    "Charades_v1_test.csv": HEADER + "Y1,U1,Stairs,7,7,Yes,x,,y,c001 2.00 4.50,9\nY2,U1,Stairs,7,7,Yes,x,,y,,9\n",
}


def test_a_video_has_each_action_once_and_may_have_none(tmp_path: Path):
    manifest = read(tmp_path, "charades", LISTS, ("A1B2C.mp4", "more/G5H6I.mkv"), unlabelled="negative")
    assert manifest.classes == ("Holding some clothes", "Taking a phone/camera", "Sitting down")
    assert [row[::2] for row in rows(manifest)[:3]] == [
        ["A1B2C.mp4", "Sitting down;Holding some clothes"],
        ["D3E4F.mp4", ";"],
        ["more/G5H6I.mkv", "Taking a phone/camera"],
    ]
    assert rows(manifest)[-2:] == [["Y1.mp4", "test", "Taking a phone/camera"], ["Y2.mp4", "test", ";"]]


@pytest.mark.parametrize("seed", range(5))
def test_val_is_taken_from_train_by_whole_subjects(tmp_path: Path, seed: int):
    manifest = read(tmp_path, "charades", LISTS, unlabelled="negative", split_seed=seed)
    of_video = dict(zip(manifest.videos, manifest.table["split"], strict=True))
    assert of_video["A1B2C.mp4"] == of_video["G5H6I.mp4"]
    assert manifest.table["split"].value_counts().to_dict() == {"train": 12, "val": 3, "test": 2}


def changed(column: str, text: str) -> dict[str, str]:
    return {"Charades_v1_train.csv": TRAIN.replace(column, text, 1)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (changed("c002 1.00", "c157 1.00"), "train.csv, line 2: there is no class 157, as"),
        (changed("c002 1.00 9.00", "c002 1.00"), "train.csv, line 2: the action 'c002 1.00' is no `c092 11.90 21.20`"),
        (changed("c002 1.00", "c002 1.0.0"), "train.csv, line 2: the action 'c002 1.0.0 9.00' is no `c092"),
        (changed("actions", "deeds"), "train.csv, line 1: there is no column 'actions', but id, subject"),
        (changed('"He sits, then stands."', "He sits, then stands."), "line 2: 12 cells, and the header has 11"),
        (changed("A1B2C", '"A1B2C'), "train.csv, line 2: no readable CSV"),
        ({"Charades_v1_test.csv": None}, "has no list of test, which is called charades_v1_test.csv"),
        ({"Charades_v1_classes.txt": CLASSES[:-19]}, "train.csv, line 2: there is no class 2, as"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, files: dict[str, str | None], said: str):
    given = {name: text for name, text in {**LISTS, **files}.items() if text is not None}
    assert said in refusal(tmp_path, "charades", given, unlabelled="negative")


def test_rows_without_an_action_are_refused_where_they_are_not_said_to_be_right(tmp_path: Path):
    assert "train.csv, line 3: 'D3E4F.mp4' has no label" in refusal(tmp_path, "charades", LISTS)


def windows(root: Path, window: float, **settings: object) -> dict[str, str]:
    """The labels of each video that is read, by its id."""
    manifest = read(root, "charades", LISTS, unlabelled="negative", window=window, **settings)
    return dict(zip(manifest.videos, manifest.table["labels"], strict=True))


def test_windows_have_all_actions_that_are_seen_in_them_and_may_have_none(tmp_path: Path):
    found = windows(tmp_path, 4)
    both, holding = "Sitting down;Holding some clothes", "Holding some clothes"
    assert {name: text for name, text in found.items() if name.startswith("A1B2C")} == {  # 8.5 s: two of 4.25
        "A1B2C.mp4#0-4.25": both,  # from 1 s on, and from the begin on
        "A1B2C.mp4#4.25-": both,
    }
    found = windows(tmp_path, 0.85)  # ten of as much
    assert [found[f"A1B2C.mp4#{span}"] for span in ("0-0.85", "0.85-1.7", "7.65-")] == [holding, both, both]
    assert {text for name, text in found.items() if name.startswith("D3E4F")} == {";"}


def test_an_action_that_goes_on_past_the_end_is_in_the_last_window_and_a_repeated_one_is_named_once(tmp_path: Path):
    found = windows(tmp_path, 5)
    phone = "Taking a phone/camera"  # 0 to 5 s, and 6.3 to 12.3 s, of 29.62 s: six windows of 4.94
    spans = [name for name in found if name.startswith("G5H6I")]
    assert spans == [
        f"G5H6I.mp4#{span}" for span in ("0-4.94", "4.94-9.87", "9.87-14.81", "14.81-19.75", "19.75-24.68", "24.68-")
    ]
    assert [found[name] for name in spans] == [phone, phone, phone, ";", ";", ";"]


def test_of_a_clip_shorter_than_a_window_all_is_read(tmp_path: Path):
    whole = read(tmp_path, "charades", LISTS, unlabelled="negative")
    found = read(tmp_path, "charades", LISTS, unlabelled="negative", window=100)
    assert found.table.to_numpy().tolist() == whole.table.to_numpy().tolist()


@pytest.mark.parametrize("window", [0.7, 3, 4.5, 10])
def test_windows_of_a_clip_lie_end_to_end_and_their_labels_are_those_of_a_fine_clock(tmp_path: Path, window: float):
    manifest = read(tmp_path, "charades", LISTS, unlabelled="negative", window=window)
    table = manifest.table[manifest.table["path"] == "A1B2C.mp4"]
    starts, ends = (pd.to_numeric(table[name]).to_numpy() for name in ("start", "end"))
    assert starts[1:].tolist() == ends[:-1].tolist()
    assert len(table) == max(1, round(8.5 / window))
    for start, end, labels in zip(np.nan_to_num(starts), np.nan_to_num(ends, nan=8.5), table["labels"], strict=True):
        times = np.arange(start, end, 0.005)
        wanted = [name for name, a, b in ACTIONS if ((times >= a) & (times < b)).any()]
        assert labels == (";".join(wanted) or ";")


def test_windows_of_one_subject_stay_together(tmp_path: Path):
    manifest = read(tmp_path, "charades", LISTS, unlabelled="negative", window=2)
    split = manifest.table.assign(group=[manifest.groups[video] for video in manifest.videos]).groupby("group")["split"]
    assert all(len(set(of_group)) == 1 for _, of_group in split)


@pytest.mark.parametrize("text", ["", "0", "long"])
def test_a_clip_without_a_length_cannot_be_cut(tmp_path: Path, text: str):
    given = {**LISTS, **changed(",8.50", f",{text}")}
    assert "train.csv, line 2: " in refusal(tmp_path, "charades", given, unlabelled="negative", window=4)


def test_windows_without_number_are_refused(tmp_path: Path):
    for window in (0.001, 0.09, 0.0, -1.0):
        with pytest.raises(ValueError, match=r"window must be at least 0\.1 seconds, or null"):
            read(tmp_path, "charades", LISTS, unlabelled="negative", window=window)
    given = {**LISTS, **changed(",8.50", ",86400")}
    said = refusal(tmp_path, "charades", given, unlabelled="negative", window=4)
    assert "train.csv, line 2: dataset.window 4 would cut 86400 s into 21,600 windows" in said


def test_other_formats_have_no_windows(tmp_path: Path):
    with pytest.raises(ValueError, match="window is for format: charades alone"):
        read(tmp_path, "lists", {}, window=4)
