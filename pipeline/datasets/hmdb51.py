"""HMDB51: a file `<class>_test_split1.txt` for each class, with lines `clip.avi 1`: 1 is train, 2 test and 0 neither.

`dataset.annotations` is the folder of these files, `dataset.split_number` says which of the three splits is read, and
`dataset.root` is the folder of a folder for each class. Classes are in the order of the alphabet. Clips cut from one
film are a group, which the val that is taken from train tears not apart.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.core.plural import number_of
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._published import Edition
from pipeline.datasets._rows import Row

log = logging.getLogger(__name__)
SPLITS = {"1": "train", "2": "test", "0": ""}
LIST = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
FILM = re.compile(r"(?P<film>.+)_[fhulb]_[cn]m_np\d+_[a-z]+_(?:goo|med|bad)_\d+", re.IGNORECASE)
"""The name of a clip: film and class, part of the body, camera, people, viewpoint, quality, number."""
EDITION = Edition("HMDB51", 51, {"train": 3_570, "test": 1_530})


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, by class, and in the order of its list.

    Raises:
        UserError: a list is missing or malformed; names the file and line.
    """
    _annotations.root_of(config)
    files = _lists(_annotations.folder_of(config), config.split_number)
    every = _published.rows_of(files, _read_rows)
    rows = [row for row in every if row.split]
    _published.tell("HMDB51", rows, len(files), [EDITION])
    log.info("HMDB51: %s in neither", number_of(len(every) - len(rows), "video"))
    return _rows.manifest(config, rows)


def _lists(folder: Path, number: int) -> list[tuple[str, Path]]:
    """The list of each class for one of the splits."""
    found = {match: path for path in sorted(folder.iterdir()) if (match := LIST.fullmatch(path.name))}
    lists = [(match["label"], path) for match, path in found.items() if match["number"] == str(number)]
    lacking = sorted({match["label"] for match in found} - {label for label, _ in lists}) or ["<class>"] * (not lists)
    if lacking:
        raise UserError(
            f"{folder} has no {lacking[0]}_test_split{number}.txt. Put it there, or set dataset.annotations or "
            "dataset.split_number in conf/dataset/, then `pipeline params`."
        )
    return lists


def _read_rows(file: Path, label: str) -> Iterator[Row]:
    for where, line in _annotations.lines_of(file):
        name, _, flag = line.rpartition(" ")
        if flag not in SPLITS or not name:
            raise UserError(f"{where}: {line!r} is no `clip.avi flag` with a flag of 0, 1 or 2. Mend the line.")
        film = FILM.fullmatch(Path(name.strip()).stem)
        group = film["film"].removesuffix(f"_{label}") if film else ""
        yield Row.of(where, f"{label}/{name.strip()}", [label], SPLITS[flag], group)
