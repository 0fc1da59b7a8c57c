"""Files of annotations: texts, lines and cells with their places for messages, and files of class names."""

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import NamedTuple

from pipeline.core import video_files
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig
from pipeline.core.names import check_class
from pipeline.core.remote_folder import RemoteFolder, corpus_root

log = logging.getLogger(__name__)
MOST_DIGITS = 9
"""Digits that the number of a class may have."""
MEND = "in conf/dataset/, then `pipeline params`"


class ClassFile(NamedTuple):
    """A file of class names."""

    path: Path
    names: tuple[str, ...]
    """In the order of their numbers, which count from 0."""


def root_of(config: DatasetConfig) -> Path | RemoteFolder:
    """The root of the corpus.

    Raises:
        UserError: it is no folder, or cannot be reached.
    """
    root = corpus_root(config.root)
    if not root.is_dir():
        raise UserError(
            f"The corpus' root {root} is no folder: it moved, or its disk is not mounted. Set dataset.root in "
            "conf/dataset/, then `make params`. Where frames were pulled and no videos are at hand, `dvc repro "
            "--downstream extract` goes on."
        )
    return root


def videos_in(root: Path | RemoteFolder, others: Counter[str] | None = None) -> list[PurePath]:
    """The paths inside the root of all that bears the name of a video, as `video_files.inside` has them."""
    if isinstance(root, RemoteFolder):
        return list(root.videos(others))
    return [file.relative_to(root) for file in video_files.inside(root, others)]


def text_of(path: Path, setting: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; `setting` is the one that names the file.

    Raises:
        UserError: the file is missing, or no UTF-8.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Set {setting} in conf/dataset/, then `make params`.")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: no text in UTF-8 ({error.reason}). Save the file as UTF-8.") from error


def lines_of(path: Path, setting: str = "dataset.annotations") -> Iterator[tuple[str, str]]:
    """The lines of a text that are not blank, without outer blanks, each with its file and line for messages.

    Raises:
        UserError: as `text_of`.
    """
    for number, line in enumerate(text_of(path, setting).splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def cells_of(path: Path, setting: str = "dataset.annotations", **form: str | bool) -> Iterator[tuple[str, list[str]]]:
    """The rows of a CSV that are not blank, each with its file and line for messages.

    Args:
        path: the file.
        setting: the one that names it.
        form: as `csv.reader` takes it.

    Raises:
        UserError: as `text_of`, or the file is no CSV.
    """
    reader = csv.reader(io.StringIO(text_of(path, setting), newline=""), strict=True, **form)  # type: ignore[arg-type]  # names of csv.reader
    read = 0  # lines up to the last good row
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{path}, line {reader.line_num}", cells
            read = reader.line_num
    except csv.Error as error:
        raise UserError(f"{path}, line {read + 1}: no readable CSV ({error}). Mend its quotes.") from error


def table_of(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV with a header, as name of the column -> cell, each with its file and line for messages.

    Raises:
        UserError: as `cells_of`; the header lacks a column that is `needed`, or a row has more or fewer cells than it.
    """
    rows = cells_of(path)
    _, header = next(rows, ("", []))
    header = [name.strip() for name in header]
    if lacking := [name for name in needed if name not in header]:
        raise UserError(f"{path}, line 1: there is no column {lacking[0]!r}, but {', '.join(header) or 'nothing'}.")
    for where, cells in rows:
        if len(cells) != len(header):
            raise UserError(f"{where}: {len(cells)} cells, and the header has {len(header)}. Quote what has a comma.")
        yield where, dict(zip(header, cells, strict=True))


def folder_of(config: DatasetConfig) -> Path:
    """The folder of the lists, which `dataset.annotations` names where a corpus is read as it is published.

    Raises:
        UserError: it is no folder.
    """
    folder = Path(config.annotations)
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder. With `format: {config.format}` dataset.annotations is the folder of the lists as "
            f"they are published. Set it {MEND}."
        )
    return folder


def file_of(folder: Path, what: str, names: Sequence[str]) -> Path:
    """The one file in a folder whose name fits one of some patterns, such as `train*.csv`, whatever its case.

    Args:
        folder: where it lies.
        what: it is, for messages.
        names: the patterns, in small letters.

    Raises:
        UserError: there is none, or there are several.
    """
    found = file_if_any(folder, what, names)
    if found is None:
        raise UserError(
            f"{folder} has no {what}, which is called {' or '.join(names)}. Put it there, or set dataset.annotations "
            f"{MEND}."
        )
    return found


def file_if_any(folder: Path, what: str, names: Sequence[str]) -> Path | None:
    """As `file_of`, but None where there is no such file."""
    fits = [file for file in sorted(folder.iterdir()) if any(fnmatchcase(file.name.lower(), name) for name in names)]
    found = [file for file in fits if file.is_file() and not file.name.startswith(".")]
    if len(found) > 1:
        listed = ", ".join(file.name for file in found)
        raise UserError(f"{folder} has {len(found)} files that may be the {what}: {listed}. Move the others away.")
    return found[0] if found else None


def lists_of(folder: Path, names: Mapping[str, Sequence[str]], needed: Iterable[str]) -> list[tuple[str, Path]]:
    """The list of each split in a folder, by the patterns of their names; those `needed` must be there.

    Raises:
        UserError: as `file_of`.
    """
    needed = set(needed)
    found = {
        split: (file_of if split in needed else file_if_any)(folder, f"list of {split}", its)
        for split, its in names.items()
    }
    return [(split, file) for split, file in found.items() if file is not None]


def class_file(config: DatasetConfig) -> ClassFile | None:
    """The file `dataset.classes`, a name a line; None where that is null.

    Raises:
        UserError: the file is missing, or a line cannot be the name of a class.
    """
    if config.classes is None:
        return None
    path = Path(config.classes)
    names = text_of(path, "dataset.classes (or null)").splitlines()
    for number, name in enumerate(names, start=1):
        check_class(name, f"{path}, line {number}")
    return ClassFile(path, tuple(names))


def categories(config: DatasetConfig, classes: Sequence[str]) -> dict[str, str]:
    """The category of each class by the file `dataset.categories`, which may have a header and other classes; or none.

    Raises:
        UserError: the file is missing or no CSV of two columns, or lacks a class.
    """
    if config.categories is None:
        return {}
    found = {}
    for where, cells in cells_of(Path(config.categories), setting="dataset.categories (or null)"):
        if len(cells) != 2:
            raise UserError(f"{where}: {len(cells)} cells, not `class,category`. Quote what has a comma.")
        found[cells[0].strip()] = cells[1].strip()
    if lacking := [name for name in classes if name not in found]:
        raise UserError(f"{config.categories} has no category of the class {lacking[0]!r}. Add a line for it.")
    return {name: found[name] for name in classes}


def numbered_classes(config: DatasetConfig, folder: Path, names: Sequence[str], form: str, first: int = 0) -> ClassFile:
    """The class file of a published corpus: that which `dataset.classes` names, or else the one in the folder.

    Its lines have a number and a name each, in any order of the numbers; or names alone, in their order.

    Args:
        config: the settings.
        folder: that of the lists.
        names: what the file may be called there, as `file_of` takes it.
        form: regular expression of a line with the groups `number` and `name`.
        first: the number of the first class.

    Raises:
        UserError: there is no such file, a line is no number and name where others are, or the numbers have a gap.
    """
    path = Path(config.classes) if config.classes else file_of(folder, "class file", names)
    found = [(where, line, re.fullmatch(form, line)) for where, line in lines_of(path, "dataset.classes (or null)")]
    if not any(match for _, _, match in found):
        return _checked(path, [(where, line) for where, line, _ in found])
    if wrong := [(where, line) for where, line, match in found if match is None or len(match["number"]) > MOST_DIGITS]:
        raise UserError(f"{wrong[0][0]}: {wrong[0][1]!r} has no number of a class, as other lines do. Mend the line.")
    numbers = sorted((int(match["number"]), where, match["name"].strip()) for where, _, match in found if match)
    for expected, (number, where, _) in enumerate(numbers, start=first):
        if number != expected:
            raise UserError(f"{where}: the class {number} comes where {expected} should. Number them from {first} on.")
    return _checked(path, [(where, name) for _, where, name in numbers])


def _checked(path: Path, names: Sequence[tuple[str, str]]) -> ClassFile:
    for where, name in names:
        check_class(name, where)
    return ClassFile(path, tuple(name for _, name in names))
