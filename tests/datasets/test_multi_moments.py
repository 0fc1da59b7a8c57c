"""Multi-Moments in Time as it is published. No public copy of its lists was found, so rows are made up.

The class files are public: mmaction2's label map of version 1 has 313 names, and that of moments_models for version 2
292, which are those of version 1 in their order.
"""

from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows

CLASSES = "crafting,0\nhitting/colliding,1\nbuying/selling/shopping,2\nice skating,3\n"
LISTS = {
    "moments_categories.txt": CLASSES,
    "trainingSet.csv": "hitting/yt-AbC_4.mp4,1,2\nice+skating/flickr-1-2-33_6.mp4, 0\nraining/giphy-Z_2.mp4,3, 0, 1\n",
    "validationSet.csv": "cooking/a_1.mp4,3\n",
    "testSet.csv": "cooking/b_1.mp4\ncooking/c,d_1.mp4\n",
}


def names(classes: int) -> str:
    return "".join(f"class {n:03d}\n" for n in range(classes))


def using(*numbers: int) -> dict[str, str]:
    """Lists that use some numbers of classes."""
    train = "".join(f"old/{n}.mp4,{n}\n" for n in numbers)
    return {"trainingSet.csv": train, "validationSet.csv": "old/v.mp4,0\n", "testSet.csv": "old/t.mp4\n"}


def test_numbers_count_the_class_file_and_blanks_may_follow_commas(tmp_path: Path):
    manifest = read(tmp_path, "multi_moments", LISTS)
    assert manifest.classes == ("crafting", "hitting/colliding", "buying/selling/shopping", "ice skating")
    assert rows(manifest) == [
        ["hitting/yt-AbC_4.mp4", "train", "hitting/colliding;buying/selling/shopping"],
        ["ice+skating/flickr-1-2-33_6.mp4", "train", "crafting"],
        ["raining/giphy-Z_2.mp4", "train", "ice skating;crafting;hitting/colliding"],
        ["cooking/a_1.mp4", "val", "ice skating"],
        ["cooking/b_1.mp4", "test", ""],
        ["cooking/c,d_1.mp4", "test", ""],
    ]


def test_the_class_file_may_list_numbers_in_any_order_or_names_alone(tmp_path: Path):
    shuffled = "".join(reversed(CLASSES.splitlines(keepends=True)))
    plain = "".join(line.rpartition(",")[0] + "\n" for line in CLASSES.splitlines())
    expected = read(tmp_path, "multi_moments", LISTS)
    for text in (shuffled, plain):
        found = read(tmp_path, "multi_moments", LISTS | {"moments_categories.txt": text})
        assert (found.classes, rows(found)) == (expected.classes, rows(expected))


def test_val_is_the_test_where_a_setting_says_so(tmp_path: Path):
    files = {"moments_categories.txt": CLASSES, **using(*range(4))}
    files["trainingSet.csv"] = "".join(f"old/{n}.mp4,{n % 4}\n" for n in range(40))
    manifest = read(tmp_path, "multi_moments", files, test_split="val")
    assert manifest.table["split"].value_counts().to_dict() == {"train": 32, "val": 8, "test": 1}
    assert rows(manifest)[-1] == ["old/v.mp4", "test", "crafting"]


@pytest.mark.parametrize(
    ("classes", "largest", "said"),
    [
        (292, 312, "trainingSet.csv, line 3: the largest number of a class in the lists is 312, and "),
        (292, 312, "different versions (v1 and v2)"),
        (313, 291, "has 313 classes, which end at 312. They are of different versions (v2 and v1)"),
        (313, 100, "(one of 101 classes and v1)"),
    ],
)
def test_lists_of_one_version_with_names_of_the_other_are_refused(tmp_path, classes: int, largest: int, said: str):
    told = refusal(
        tmp_path, "multi_moments", {"names.txt": names(classes), **using(0, 1, largest)}, classes="names.txt"
    )
    assert said in told


def test_counts_are_told_with_those_published(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    read(tmp_path, "multi_moments", {"names.txt": names(313), **using(*range(313))}, classes="names.txt")
    assert (
        "Multi-Moments in Time v1, 313 classes: 313 videos in train of 1,025,862 published, 1 video in val of 10,000 "
        "published, 1 video in test of 10,000 published" in caplog.messages
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"moments_categories.txt": None}, "lists has no class file, which is called moments_categories.txt"),
        ({"validationSet.csv": None}, "lists has no list of val, which is called validationset*"),
        ({"validationSet.csv": "\n"}, "validationSet.csv lists no video"),
        ({"trainingSet-v2.txt": "a.mp4,1\n"}, "2 files that may be the list of train: trainingSet-v2.txt, trainingSet"),
        ({"trainingSet.csv": "a/b.mp4,cooking,3,1\n"}, "trainingSet.csv, line 1: 'a/b.mp4,cooking,3,1' is no"),
        ({"trainingSet.csv": "a/b.mp4,3\n\na/c.mp4\n"}, "trainingSet.csv, line 3: 'a/c.mp4' has no label"),
        ({"trainingSet.csv": "../b.mp4,3\n"}, "trainingSet.csv, line 1: the path '../b.mp4' leaves the corpus' root"),
        ({"moments_categories.txt": "a,0\nb,2\n"}, "categories.txt, line 2: the class 2 comes where 1 should"),
        ({"moments_categories.txt": "a,0\nb\n"}, "categories.txt, line 2: 'b' has no number of a class"),
        ({"moments_categories.txt": f"a,0\nb,{'9' * 5000}\n"}, "9' has no number of a class"),
        ({"trainingSet.csv": f"a.mp4,{'9' * 5000}\n"}, "trainingSet.csv, line 1: '9999"),
        ({"moments_categories.txt": "a,0\na,1\nb,2\nc,3\n"}, "the class 'a' is listed twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "multi_moments", files)
