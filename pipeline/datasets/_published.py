"""Public corpora as they are published: where their clips lie, and how many their authors counted."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import UserError
from pipeline.core.plural import number_of
from pipeline.core.remote_folder import RemoteFolder
from pipeline.datasets import _annotations
from pipeline.datasets._rows import Row, some

log = logging.getLogger(__name__)
FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
"""Splits -> names of folders that hold their clips."""
REPLACED = "replacement"
"""How the name of a folder begins whose clips stand for corrupt ones of the same name."""


class Edition(NamedTuple):
    """A version of a corpus."""

    name: str
    classes: int
    videos: Mapping[str, int]
    """Split -> its videos as they were published; without those that nobody counted."""


def rows_of(files: Iterable[tuple[str, Path]], read: Callable[[Path, str], Iterable[Row]]) -> list[Row]:
    """The rows of the list of each split, in their order.

    Raises:
        UserError: a list has none.
    """
    found = [(file, list(read(file, split))) for split, file in files]
    if empty := [file for file, rows in found if not rows]:
        raise UserError(f"{empty[0]} lists no video. Put the list there as it is published.")
    return [row for _, rows in found for row in rows]


def tell(corpus: str, rows: Sequence[Row], classes: int, editions: Sequence[Edition]) -> None:
    """Say how many videos the lists have in each split, and how many were published with as many classes."""
    edition = next((edition for edition in editions if edition.classes == classes), None)
    counts = Counter(row.split for row in rows)
    published = edition.videos if edition else {}
    told = [f"{number_of(n, 'video')} in {split}{_of(n, published.get(split))}" for split, n in counts.items()]
    others = "" if edition else f" (published: {', '.join(str(other.classes) for other in editions)})"
    name = edition.name if edition else corpus
    log.info("%s, %s%s: %s", name, number_of(classes, "class", "classes"), others, ", ".join(told))


def _of(count: int, published: int | None) -> str:
    if published is None:
        return ""
    return ", as published" if count == published else f" of {published:,} published"


class Clips:
    """The video files in a root by their names without ending, as lists that name clips by an id say no folder."""

    def __init__(self, root: Path | RemoteFolder) -> None:
        self.root = root
        self.of_name: dict[str, list[str]] = defaultdict(list)
        """Name without ending -> paths inside the root."""
        self.doubtful: list[str] = []
        for path in _annotations.videos_in(root):
            self.of_name[path.stem].append(path.as_posix())

    def path(self, name: str, split: str, ending: str, folder: str = "") -> str:
        """The path of a clip inside the root; where there is none, that at which it was published.

        Of several, a replacement comes first, and then what lies in a folder of the split.

        Args:
            name: of the clip, without ending.
            split: it is of.
            ending: of the published file.
            folder: where that lies.
        """
        found = self.of_name.get(name, [])
        if not found:
            return f"{folder}/{name}{ending}".lstrip("/")
        if len(found) > 1:
            found = sorted(found, key=lambda path: _fitness(path, split), reverse=True)
            if _fitness(found[0], split) == _fitness(found[1], split):
                self.doubtful.append(f"{found[0]} (and {found[1]})")
        return found[0]

    def tell(self) -> None:
        """Warn of the clips that lie in several folders, of which the first is taken."""
        if self.doubtful:
            number = number_of(len(self.doubtful), "clip")
            log.warning(
                "%s: %s in more than one folder, the first is taken: %s", self.root, number, some(self.doubtful)
            )


def _fitness(path: str, split: str) -> int:
    """How likely a path is that of the clip that a list of the split means."""
    folders = [part.lower() for part in path.split("/")[:-1]]
    return 2 * any(part.startswith(REPLACED) for part in folders) + any(part in FOLDERS[split] for part in folders)
