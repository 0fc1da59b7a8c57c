"""Lists of videos and labels, a line each, as public corpora have them."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import lists

NAMES = "jump\nrun\nswim\n"


def read(root: Path, classes: str | None = None, annotations: str = "lists", **files: str) -> Manifest:
    (root / "lists").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "lists" / f"{name}.txt").write_text(text)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    config = DatasetConfig(
        format="lists", root=str(root), annotations=str(root / annotations), after="conf/dataset", generated=(),
        classes=None if classes is None else str(root / "classes.txt"), val_share=0.2, test_share=0.2, split_seed=0,
    )  # fmt: skip
    return lists.read(config)


def refusal(root: Path, classes: str | None = None, annotations: str = "lists", **files: str) -> str:
    with pytest.raises(UserError) as error:
        read(root, classes, annotations, **files)
    return str(error.value)


RIGHT = {"my_train_list": "a.mp4 0 2\n\nb b.mp4 1\n", "my_val_list": "c.mp4 1\n", "testlist": "d.mp4 2\n"}


def test_numbers_count_the_lines_of_the_class_list_from_zero(tmp_path: Path):
    manifest = read(tmp_path, NAMES, **RIGHT)

    assert manifest.classes == ("jump", "run", "swim")
    assert manifest.table[["video", "split", "labels"]].to_numpy().tolist() == [
        ["a.mp4", "train", "jump;swim"],
        ["b b.mp4", "train", "run"],
        ["c.mp4", "val", "run"],
        ["d.mp4", "test", "swim"],
    ]


def test_names_are_read_as_they_stand(tmp_path: Path):
    manifest = read(
        tmp_path, train="a/1.avi run jump\nb.mp4\tlong jump\trun\n", val="c.mp4,long jump\n", test="d.mp4,run, jump\n"
    )
    assert manifest.table["labels"].tolist() == ["run;jump", "long jump;run", "long jump", "run;jump"]


def test_one_file_is_split(tmp_path: Path):
    manifest = read(tmp_path, annotations="lists/all.txt", all="".join(f"{n}.mp4 run\n" for n in range(20)))
    assert manifest.table["split"].value_counts().to_dict() == {"train": 12, "val": 4, "test": 4}


def test_val_is_taken_from_train_and_test_may_lack_labels_as_in_ucf101(tmp_path: Path):
    many = "".join(f"Run/v_Run_g{n:02d}.avi 0\n" for n in range(20))
    manifest = read(tmp_path, "Run\n", trainlist01=many, testlist01="Run/x.avi\nRun/y.avi\n", classInd="1 Run\n")
    assert manifest.table["split"].value_counts().to_dict() == {"train": 16, "val": 4, "test": 2}
    assert manifest.table["labels"].tolist()[-2:] == ["", ""]


@pytest.mark.parametrize(
    ("classes", "changed", "said"),
    [
        (None, {}, "line 1: the labels are numbers, and nothing says of what"),
        ("jump\nrun\n", {}, "my_train_list.txt, line 1: there is no class 2, as "),
        (NAMES, {"my_train_list": "a.mp4 1 3\nb.mp4 2\n"}, "{root}/classes.txt has 3, counted from 0. They seem to"),
        (NAMES, {"my_train_list": "a.mp4 1 3\nb.mp4 0\n"}, "has 3, counted from 0. Mend the one"),
        (NAMES, {"my_train_list": f"a.mp4 {'9' * 5000}\n"}, "99'... is longer than 1000 characters, and no"),
        (NAMES, {"my_train_list": "a.mp4\n"}, "my_train_list.txt, line 1: 'a.mp4' has no label"),
        (NAMES, {"my_train_list": "a.mp4 0\na.mp4 1\n"}, "line 2: 'a.mp4' occurs twice"),
        (NAMES, {"old_train": "a.mp4 0\n"}, "has 2 lists of train (my_train_list.txt, old_train.txt)"),
        (NAMES, {"my_train_list": "", "my_val_list": "", "testlist": ""}, "lists no video"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, classes: str | None, changed: dict[str, str], said: str):
    assert said.format(root=tmp_path) in refusal(tmp_path, classes, **RIGHT | changed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "clips/a 163 1\nclips/b 98 0\n",
            "train.txt, line 1: 'clips/a' is no video by its ending, and 2 numbers follow",
        ),
        ('original_vido_id video_id frame_id path labels\na 0 0 a/1.jpg "1"\n', "line 1: this is PySlowFast's list"),
    ],
)
def test_lists_of_frames_are_refused(tmp_path: Path, text: str, said: str):
    assert said in refusal(tmp_path, NAMES, train=text, val=text, test=text)


def test_a_folder_without_a_list_of_train_is_refused(tmp_path: Path):
    assert "has no list of train" in refusal(tmp_path, val="a.mp4 run\n")


def test_a_missing_file_is_named_with_the_setting(tmp_path: Path):
    assert "no.txt does not exist. Set dataset.annotations" in refusal(tmp_path, annotations="no.txt")


@pytest.mark.parametrize("text", ["a.mp4 0 ?2\n", "a.mp4,jump,? swim\n", "a.mp4\tjump\t?swim\t?swim\n"])
def test_a_label_that_nobody_knows_has_a_mark(tmp_path: Path, text: str):
    numbered = text.startswith("a.mp4 0")
    rest = "b.mp4 1 2\n" if numbered else "b.mp4,run,swim\n"
    files = RIGHT if numbered else {"my_val_list": "c.mp4 run\n", "testlist": "d.mp4 swim\n"}
    manifest = read(tmp_path, NAMES, **{**files, "my_train_list": text + rest})
    assert manifest.table["labels"].tolist()[0] == "jump;?swim"
    assert manifest.targets()[0].tolist() == [1, 0, -1]


def test_the_number_of_a_label_that_nobody_knows_is_checked_too(tmp_path: Path):
    said = refusal(tmp_path, NAMES, **{**RIGHT, "my_train_list": "a.mp4 0 2\nb.mp4 1 ?7\n"})
    assert "my_train_list.txt, line 2: there is no class 7, as" in said
