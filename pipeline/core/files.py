"""Files that are written all or nothing, and fingerprints of what they were made from.

A finished piece of work is kept in the scratch folder under the fingerprint of all that it was made from. A stage that
was killed finds it again; a stage whose input changed does not, because the name differs.
"""

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError

RECIPE = "recipe.json"
"""Name of the file beside a model's weights that says what made them."""


def fingerprint(*parts: Any) -> str:
    """A hash of plain values (whatever JSON can hold), the same on every machine: 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_of(parent: Path, name: str, *parts: Any) -> Path:
    """The folder for unfinished work of a name; its own name ends with the fingerprint of `parts`."""
    return parent / f"{name}-{fingerprint(*parts)}"


def others(folder: Path) -> list[Path]:
    """The folders that differ from one of `folder_of` in the fingerprint alone, sorted; no run uses them any more."""
    length = len(fingerprint())
    found = folder.parent.glob(glob.escape(folder.name[:-length]) + "?" * length)
    return sorted(set(found) - {folder})


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` (a file or a folder) when the context ends without an error.

    After an error the temporary is deleted and an existing `path` stays as it was.

    Raises:
        UserError: a file would take the place of a folder, or a folder that of a file; both stay as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    remove(temporary)  # of a run that was killed
    try:
        yield temporary
        if path.exists() and path.is_dir() != temporary.is_dir():
            there, made = ("folder", "file") if path.is_dir() else ("file", "folder")
            raise UserError(
                f"{path} is a {there}, and a {made} would take its place. Name another, or delete it first."
            )
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # a write names no file
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a small text file (UTF-8), all or nothing."""
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, all or nothing."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system cannot link them."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Delete a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_at_once(folder: Path) -> None:
    """Delete a folder; a kill in the middle leaves all of it or nothing under its name."""
    hidden = folder.with_name(f".{folder.name}.partial")
    remove(hidden)
    folder.replace(hidden)
    remove(hidden)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder inside `parent` that is deleted when the context ends."""
    with tempfile.TemporaryDirectory(dir=parent, prefix=".partial-") as name:
        yield Path(name)
