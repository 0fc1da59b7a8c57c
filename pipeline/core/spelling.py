"""Names of files in another Unicode form than the annotations have: é as one character, or as e with an accent.

Macs write the one and most other programs the other, and a file system that compares bytes knows them for two names.
"""

import functools
import logging
import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.core.manifest import Manifest
from pipeline.core.plural import number_of

log = logging.getLogger(__name__)
NAMED = 5
"""Number of files that a message names."""


def on_disk(corpus: Manifest, root: Path) -> Manifest:
    """The manifest with paths as the files under `root` are called, where theirs differ by the Unicode form alone.

    Ids stay as the annotations have them. Says which files are found so.
    """
    paths: list[str] = corpus.table["path"].tolist()
    listed = functools.cache(_listed)
    strange = {path for path in paths if not path.isascii() and not os.path.lexists(root / path)}
    found = {path: name for path in sorted(strange) if (name := _name(root, path.split("/"), listed))}
    if not found:
        return corpus
    shown = ", ".join(map(ascii, list(found)[:NAMED])) + (", ..." if len(found) > NAMED else "")
    number = number_of(len(found), "file")
    log.warning("%s: %s found by another Unicode form of the name than the annotations have: %s", root, number, shown)
    return replace(corpus, table=corpus.table.assign(path=[found.get(path, path) for path in paths]))


def _name(root: Path, parts: Sequence[str], listed: "functools._lru_cache_wrapper[Mapping[str, Sequence[str]]]") -> str:
    """The path on the disk; empty where there is none, or where several differ by the form."""
    place, names = root, []
    for part in parts:
        alike = listed(place).get(unicodedata.normalize("NFC", part), [])
        if part not in alike and len(alike) != 1:
            return ""
        names.append(part if part in alike else alike[0])
        place /= names[-1]
    return "/".join(names)


def _listed(folder: Path) -> Mapping[str, Sequence[str]]:
    """Composed form of each name in a folder -> the names as they are."""
    found = defaultdict(list)
    try:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - a Path is not needed
            found[unicodedata.normalize("NFC", name)].append(name)
    except OSError:  # it is missing or cannot be read, as is then said of its files
        return {}
    return dict(found)
