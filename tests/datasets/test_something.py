"""Something-Something v2 as it is published. No public copy of its lists was found, so entries are made up.

mmaction2's label map has 174 names, of which 19 hold a comma, an apostrophe or brackets, and three pairs are about left
and right.
"""

import json
from pathlib import Path

import pytest

from tests.support.published import read, refusal, rows

PUT = "Putting [something], [something] and [something] on the table"
CLASSES = {"Closing something": "1", "Putting something, something and something on the table": "0"}
TRAIN = [
    {"id": "7", "label": "putting pen, cup and key on the table", "template": PUT, "placeholders": ["pen"]},
    {"id": "19", "label": "closing book", "template": "Closing [something]", "placeholders": ["book"]},
]
LISTS = {
    "labels.json": json.dumps(CLASSES),
    "train.json": json.dumps(TRAIN),
    "validation.json": json.dumps([{"id": 21, "template": "Closing [something]"}]),
    "test.json": json.dumps([{"id": "23"}, {"id": "24"}]),
}


def test_the_label_is_the_template_without_brackets_and_labels_json_gives_the_order(tmp_path: Path):
    manifest = read(tmp_path, "something", LISTS, ("19.webm", "more/7.mp4"))
    assert manifest.classes == ("Putting something, something and something on the table", "Closing something")
    assert rows(manifest) == [
        ["more/7.mp4", "train", "Putting something, something and something on the table"],
        ["19.webm", "train", "Closing something"],
        ["21.webm", "val", "Closing something"],
        ["23.webm", "test", ""],
        ["24.webm", "test", ""],
    ]


def test_names_of_files_of_before_do_as_well(tmp_path: Path):
    former = {f"something-something-v2-{name}": text for name, text in LISTS.items()}
    assert [labels for _, split, labels in rows(read(tmp_path, "something", former)) if split == "train"] == [*CLASSES][
        ::-1
    ]
    assert "2 files that may be the list of train" in refusal(tmp_path, "something", LISTS)


def test_the_answers_of_test_are_its_labels(tmp_path: Path):
    answers = {"test-answers.csv": "24;Closing something\n23;Putting something, something and something on the table\n"}
    manifest = read(tmp_path, "something", LISTS | answers)
    assert [labels for _, _, labels in rows(manifest)[-2:]] == [*reversed(CLASSES)]
    told = refusal(tmp_path, "something", LISTS | {"test-answers.csv": "24;Closing something\n"})
    assert "1 of 2 test videos have no label, e.g. '23.webm'" in told


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels.json": None}, "lists has no class file, which is called labels.json or something-"),
        ({"validation.json": None}, "lists has no list of val, which is called validation.json or"),
        ({"labels.json": '{"a": "0", "b": "2"}'}, "labels.json: the numbers of 2 classes must be 0 to 1, each once"),
        ({"labels.json": '{"a": "x"}'}, "labels.json: invalid literal"),
        ({"labels.json": '{"a": 1e999}'}, "labels.json: cannot convert float infinity to integer"),
        ({"labels.json": '{"Closing something": "0"}'}, "train.json, entry 1: the label 'Putting something, something"),
        ({"train.json": '[\n{"id": "7",\n'}, "train.json, line 3: no readable JSON"),
        ({"train.json": "{}"}, "train.json, line 1: a list is wanted"),
        ({"train.json": '[{"template": "a"}]'}, "train.json, entry 1: {'template': 'a'} is no object with an id"),
        ({"train.json": '[{"id": "7"}]'}, "train.json, entry 1: the video 7 has no template"),
        ({"train.json": "[]"}, "train.json lists no video"),
        ({"test-answers.csv": "23\n"}, "test-answers.csv, line 1: this is no `id;name`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_entry(tmp_path: Path, changed: dict[str, str | None], said: str):
    files = {name: text for name, text in {**LISTS, **changed}.items() if text is not None}
    assert said in refusal(tmp_path, "something", files)
