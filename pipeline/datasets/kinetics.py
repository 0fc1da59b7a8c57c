"""Kinetics-400, -600 and -700: CSVs with the columns label, youtube_id, time_start, time_end and split.

`dataset.annotations` is the folder of one CSV for each split, whose names hold train, val and test. The column `split`
says what a row is of; a CSV of test has no column `label`. `dataset.root` is the folder of the clips. They are called
<id>_<start>_<end> in seconds of six digits, and are found wherever they lie below the root: all in train/ (as the
archives of CVDF have them), or in a folder for each class, whatever its spelling (as the crawler of ActivityNet and
mmaction2 have them). Of a clip in `replacement*/` and elsewhere, the replacement is taken.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.datasets import _annotations, _published, _rows
from pipeline.datasets._published import FOLDERS, Clips, Edition
from pipeline.datasets._rows import Row

LISTS = {"train": ("*train*.csv",), "val": ("*val*.csv",), "test": ("*test*.csv",)}
NEEDED = ("youtube_id", "time_start", "time_end")
ENDING = ".mp4"
EDITIONS = (
    Edition("Kinetics-400", 400, {"train": 246_534, "val": 19_906}),
    Edition("Kinetics-600", 600, {"val": 30_000, "test": 72_924}),
    Edition("Kinetics-700", 700, {}),
)


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the CSVs.

    Raises:
        UserError: a CSV is missing or malformed; names the file and line.
    """
    root = _annotations.root_of(config)
    files = _annotations.lists_of(_annotations.folder_of(config), LISTS, needed=("train", "val"))
    clips = Clips(root)
    rows = _published.rows_of(files, partial(_read_rows, clips))
    clips.tell()
    known = _annotations.class_file(config)
    number = len(known.names) if known else len({label for row in rows for label in row.labels})
    _published.tell("Kinetics", rows, number, EDITIONS)
    return _rows.manifest(config, rows, known)


def _read_rows(clips: Clips, file: Path, of_file: str) -> Iterator[Row]:
    for where, cells in _annotations.table_of(file, NEEDED):
        split = _split(cells.get("split", of_file), where)
        try:
            start, end = (int(float(cells[name])) for name in ("time_start", "time_end"))
        except (ValueError, OverflowError) as error:
            raise UserError(f"{where}: {error}. time_start and time_end are seconds. Mend the line.") from error
        name = f"{cells['youtube_id']}_{start:06d}_{end:06d}"
        yield Row.of(where, clips.path(name, split, ENDING, split), [cells.get("label", "")], split)


def _split(text: str, where: str) -> str:
    for split, names in FOLDERS.items():
        if text.strip().lower() in names:
            return split
    raise UserError(f"{where}: the split {text!r} is none of {', '.join(n for its in FOLDERS.values() for n in its)}.")
