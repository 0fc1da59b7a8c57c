"""One folder a class: root/<class>/.../clip.mp4, or root/{train,val,test}/<class>/.../clip.mp4.

`dataset.annotations` is the root again. A video's id is its path inside the root. What becomes of a corpus without
splits is told in pipeline/datasets/_rows.py; folders may lie below that of a class, and are no labels.
"""

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from pipeline.core import video_files
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest
from pipeline.core.names import LONGEST_ID, UNSAFE
from pipeline.core.remote_folder import RemoteFolder, corpus_root
from pipeline.datasets import _annotations, _rows
from pipeline.datasets._rows import Row

log = logging.getLogger(__name__)
_NO_ID = re.compile(rf"{UNSAFE.pattern}|\\")


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, sorted by path.

    Raises:
        UserError: the folder is missing, has no video in a folder of a class, has a single class, or is not what
            `annotations` names; or the folder of a class is empty.
    """
    root = _annotations.root_of(config)
    if _place(corpus_root(config.annotations)) != _place(root):
        raise UserError(
            f"dataset.annotations is {config.annotations}, but with `format: class_folders` the folders of the root "
            "are the annotations. Write `annotations: ${.root}` in conf/dataset/, then `pipeline params`."
        )
    if not isinstance(root, RemoteFolder):  # where no folder is empty
        _refuse_empty_folder(root)
    rows = list(rows_of(root))
    if not rows:
        raise UserError(
            f"{root} has no video in a folder of its class. It must hold <class>/clip.mp4, or train, val and test with "
            "such folders in each."
        )
    classes = {row.labels for row in rows}
    if len(classes) == 1 and not has_splits(root):
        name = rows[0].labels[0]
        raise UserError(f"{root}: there is one class only, {name!r}. Did you mean the folder above, {above(root)}?")
    return _rows.manifest(config, rows)


def rows_of(root: Path | RemoteFolder) -> Iterator[Row]:
    """The videos that lie in the folder of a class; says how many do not."""
    depth = 1 if has_splits(root) else 0
    outside: list[PurePath] = []
    others: Counter[str] = Counter()
    for path in _annotations.videos_in(root, others):
        if len(path.parts) < depth + 2:
            outside.append(path)
            continue
        split = path.parts[0] if depth else ""
        yield Row.of(f"{root}/{path}", possible_id(path), [path.parts[depth]], split)
    video_files.say_left_out(root, others)
    if outside:
        log.warning("%s: left out, as in no folder of a class (%d): %s", root, len(outside), _rows.some(outside))


def _refuse_empty_folder(root: Path) -> None:
    places = [root / split for split in SPLITS] if has_splits(root) else [root]
    folders = [path for place in places if place.is_dir() for path in sorted(place.iterdir()) if path.is_dir()]
    for folder in folders:
        if not folder.name.startswith(".") and not any(folder.iterdir()):
            raise UserError(f"{folder} is empty, and may be the folder of a class. Put its videos there, or remove it.")


def above(root: Path | RemoteFolder) -> Path | str:
    """The folder that holds a folder, named as that is where it can be."""
    if isinstance(root, RemoteFolder):
        return root.url.rpartition("/")[0]
    return root.parent if root.name not in ("", "..") else root.resolve().parent


def possible_id(path: PurePath) -> str:
    """The path of a file as an id; where they differ, no file has such a path, and the video counts as broken.

    What no id may have (bytes that are no UTF-8, control characters, a backslash) becomes %XX, and what is longer than
    `LONGEST_ID` bytes is cut and ends in a hash.
    """
    text = _NO_ID.sub(lambda found: "".join(f"%{byte:02X}" for byte in os.fsencode(found[0])), path.as_posix())
    if len(text.encode()) <= LONGEST_ID:
        return text
    ending = f"%{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
    return text.encode()[: LONGEST_ID - len(ending)].decode("utf-8", "ignore") + ending


def has_splits(root: Path | RemoteFolder) -> bool:
    """Whether the folders of the first level are splits: train, and others of `SPLITS` alone.

    Raises:
        UserError: they are by other names, and would be taken for classes.
    """
    names = {name for name in _folders(root) if not name.startswith(".")}
    if "train" in names and names <= set(SPLITS):
        return True
    if len(names) > 1 and {name.lower() for name in names} <= set(_rows.LIKE_SPLITS):
        raise UserError(
            f"{root}: the folders {', '.join(sorted(names))} seem to be splits. Name them {', '.join(SPLITS)}."
        )
    return False


def _place(root: Path | RemoteFolder) -> Path | RemoteFolder:
    """The one name of a folder, by which it is known whatever it is called."""
    return root if isinstance(root, RemoteFolder) else root.resolve()


def _folders(root: Path | RemoteFolder) -> set[str]:
    """The names of the folders of the first level."""
    if isinstance(root, RemoteFolder):
        return {path.partition("/")[0] for path in root.files if "/" in path}
    return {path.name for path in root.iterdir() if path.is_dir()}
