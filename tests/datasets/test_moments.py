"""Moments in Time as it is published. No public copy of its lists was found, so rows are made up.

The class files are public: mmaction2's label map of version 1 has 339 names, and that of moments_models for version 2
305.
"""

from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows

LISTS = {
    "moments_categories.txt": "ice skating,2\nblocking,0\nbuying/selling/shopping,1\n",
    "trainingSet.csv": "blocking/yt-AbC_4.mp4,blocking,3,1\nice+skating/getty-rink-id77_2.mp4,ice skating,4,0\n"
    "buying+selling+shopping/vine-Q1_3.mp4,buying/selling/shopping,3,0\n",
    "validationSet.csv": "blocking/x_1.mp4,blocking,3,0\n",
}


def test_the_label_is_the_second_cell_and_the_path_lacks_the_folder_of_the_split(tmp_path: Path):
    more = "".join(f"blocking/{n}.mp4,blocking,3,0\n" for n in range(9))
    files = LISTS | {"trainingSet.csv": LISTS["trainingSet.csv"] + more}
    manifest = read(tmp_path, "moments", files, test_split="val")
    assert manifest.classes == ("blocking", "buying/selling/shopping", "ice skating")
    assert [[path, labels] for path, _, labels in rows(manifest)[:3]] == [
        ["training/blocking/yt-AbC_4.mp4", "blocking"],
        ["training/ice+skating/getty-rink-id77_2.mp4", "ice skating"],
        ["training/buying+selling+shopping/vine-Q1_3.mp4", "buying/selling/shopping"],
    ]
    assert rows(manifest)[-1] == ["validation/blocking/x_1.mp4", "test", "blocking"]


def test_a_class_file_of_another_version_is_refused(tmp_path: Path):
    files = LISTS | {"moments_categories.txt": "blocking,0\nbuying/selling/shopping,1\n"}
    told = refusal(tmp_path, "moments", files, test_split="val")
    assert "trainingSet.csv, line 2: the label 'ice skating' is not in" in told
    assert "moments_categories.txt. Mend the one or the other." in told


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trainingSet.csv": "a/b.mp4,33,118\n"}, "trainingSet.csv, line 1: 'a/b.mp4,33,118' is no `clip.mp4,label,"),
        ({"trainingSet.csv": "a/b.mp4,blocking,3,x\n"}, "trainingSet.csv, line 1: 'a/b.mp4,blocking,3,x' is no"),
        ({"validationSet.csv": None}, "no list of val, which is called validationset*.csv"),
        ({}, "a split is made. Or test on val: dataset.test_split: val."),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "moments", files)
