"""Something-Something v2: train.json, a list of objects with id and template, and labels.json, name -> number as text.

`dataset.annotations` is the folder of labels.json, train.json, validation.json and perhaps test.json (formerly called
something-something-v2-*.json); test-answers.csv has lines `id;name`, and without it the test has no labels. The label
is the template without its square brackets. `dataset.root` is the folder of the clips <id>.webm.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.names import check_class
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._annotations import ClassFile
from pipeline.datasets._published import Clips, Edition
from pipeline.datasets._rows import Row

LISTS = {
    split: (f"{name}.json", f"something-something-v2-{name}.json")
    for split, name in {"train": "train", "val": "validation", "test": "test"}.items()
}
CLASSES = ("labels.json", "something-something-v2-labels.json")
ANSWERS = ("test-answers.csv", "something-something-v2-test-answers.csv")
ENDING = ".webm"
EDITIONS = (Edition("Something-Something v2", 174, {"train": 168_913, "val": 24_777}),)


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the lists.

    Raises:
        UserError: a file is missing or malformed; names the file and the entry.
    """
    root = _annotations.root_of(config)
    folder = _annotations.folder_of(config)
    files = _annotations.lists_of(folder, LISTS, needed=("train", "val"))
    known = _annotations.class_file(config) or _classes(folder)
    answers = _annotations.file_if_any(folder, "answers of test", ANSWERS)
    clips = Clips(root)
    rows = _published.rows_of(files, partial(_read_rows, clips, _answers(answers)))
    clips.tell()
    _published.tell("Something-Something", rows, len(known.names), EDITIONS)
    return _rows.manifest(config, rows, known)


def _classes(folder: Path) -> ClassFile:
    path = _annotations.file_of(folder, "class file", CLASSES)
    numbers = _json(path, dict)
    try:
        by_number = {int(number): name for name, number in numbers.items()}
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: {error}. It has a number, as a text, for each name. Mend the file.") from error
    if sorted(by_number) != list(range(len(numbers))):
        raise UserError(f"{path}: the numbers of {len(numbers)} classes must be 0 to {len(numbers) - 1}, each once.")
    for name in numbers:
        check_class(name, str(path))
    return ClassFile(path, tuple(by_number[number] for number in range(len(numbers))))


def _answers(path: Path | None) -> dict[str, str]:
    """The name of the class of each test video, by its id."""
    rows = [] if path is None else list(_annotations.cells_of(path, delimiter=";"))
    if wrong := [where for where, cells in rows if len(cells) != 2]:
        raise UserError(f"{wrong[0]}: this is no `id;name`. Mend the line.")
    return {cells[0].strip(): cells[1].strip() for _, cells in rows}


def _read_rows(clips: Clips, answers: Mapping[str, str], file: Path, split: str) -> Iterator[Row]:
    for number, entry in enumerate(_json(file, list), start=1):
        where = f"{file}, entry {number}"
        if not isinstance(entry, dict) or not str(entry.get("id", "")).strip():
            raise UserError(f"{where}: {entry!r} is no object with an id. Mend the file.")
        name = str(entry["id"])
        if split == "test":
            label = answers.get(name, "")
        elif isinstance(entry.get("template"), str):
            label = entry["template"].replace("[", "").replace("]", "")
        else:
            raise UserError(f"{where}: the video {name} has no template, which is its label. Mend the file.")
        yield Row.of(where, clips.path(name, split, ENDING), [label], split)


def _json(path: Path, kind: type) -> Any:
    try:
        found = json.loads(_annotations.text_of(path, "dataset.annotations"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise UserError(f"{path}, line {line}: no readable JSON ({error}). Put the published file there.") from error
    if not isinstance(found, kind):
        raise UserError(
            f"{path}, line 1: a {'list' if kind is list else 'object'} is wanted. Put the published file there."
        )
    return found
