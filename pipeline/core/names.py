"""Names that come from elsewhere: ids and paths of videos, classes, and what they may hold."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.core.errors import UserError

LABEL_SEPARATOR = ";"
NO_CLASS = LABEL_SEPARATOR
"""The labels of a video of which it is known that it shows none of the classes; an empty text is that nobody said."""
UNKNOWN = "?"
"""What stands before the name of a class, among the labels, where nobody knows whether the video shows it."""
LONGEST_ID = 500
"""Largest length of an id, in bytes of UTF-8; LMDB keys have 511 bytes at most."""
LONGEST_CLASS = 1000
"""Largest length of a class' name, which may be the number of a class; of thousands of digits Python makes none."""
RESERVED = ("video", "status", "labels")
"""Names that no class may have: columns of the prediction files, which have a column for each class besides."""
FORMULA = re.compile(r"[=+\-@](?:.*\||.*[A-Za-z0-9.]\()")
"""What a spreadsheet runs when it opens a table: a call of a function, =HYPERLINK(...), or of a program, =cmd|..."""
UNSAFE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
"""Control characters, what Python takes for the end of a line, and bytes of a file's name that are no UTF-8."""


def safe_path(text: str, where: str) -> str:
    """A path inside the corpus' root in its one normal form.

    Raises:
        UserError: it is absolute, leaves the root by "..", or has characters that a key cannot have.
    """
    path = PurePosixPath(text.replace("\\", "/"))
    if not text.strip() or not path.parts or path.is_absolute() or ".." in path.parts or re.match(r"^[A-Za-z]:", text):
        raise UserError(f"{where}: the path {text!r} leaves the corpus' root. Give it relative to dataset.root.")
    if UNSAFE.search(text):
        raise UserError(f"{where}: the path {text!r} has a control character, or is no UTF-8. Rename the file.")
    if FORMULA.match(text):
        raise UserError(f"{where}: the path {text!r} is a formula, which a spreadsheet would run. Rename the file.")
    if len(str(path).encode()) > LONGEST_ID:
        raise UserError(f"{where}: the path {text!r} is longer than {LONGEST_ID} bytes. Rename the file.")
    return str(path)


def check_class(name: str, where: str) -> None:
    """Refuse what cannot be the name of a class.

    Raises:
        UserError: the name is empty, reserved or too long, or has outer blanks, control characters, the separator of
            labels, or the mark of an unknown one at its begin.
    """
    if len(name) > LONGEST_CLASS:
        raise UserError(f"{where}: {name[:40]!r}... is longer than {LONGEST_CLASS} characters, and no class' name is.")
    if not name or name != name.strip() or LABEL_SEPARATOR in name or UNSAFE.search(name):
        raise UserError(f"{where}: {name!r} cannot be a class name: no {LABEL_SEPARATOR!r}, tab or outer blank.")
    if name.startswith(UNKNOWN):
        raise UserError(f"{where}: {name!r} cannot be a class name: {UNKNOWN!r} marks a label that is not known.")
    if FORMULA.match(name):
        raise UserError(f"{where}: {name!r} cannot be a class name: a spreadsheet would run it as a formula.")
    if name in RESERVED:
        raise UserError(f"{where}: {name!r} cannot be a class name, since prediction files have such a column.")


def check_classes(names: Sequence[str], where: str) -> None:
    """Refuse what cannot be the names of all classes.

    Raises:
        UserError: there is none, one occurs twice, or one fails `check_class`.
    """
    if not names:
        raise UserError(f"{where} has no classes.")
    for name in names:
        check_class(name, where)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{where}: the class {twice!r} is listed twice.")
