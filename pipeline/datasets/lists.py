"""Lists as many public corpora have them: `clip.mp4 3`, `clip.mp4 3 17` or `clip.mp4 run jump`, a line a video.

`dataset.annotations` is such a file; or a folder with one file a split, whose names hold train, val and test. Paths are
relative to the root. Tabs or commas may stand for the blanks, and a name of a class may then have blanks. Where every
label is a number, it counts the lines of the file `dataset.classes` from 0. A label that is not known has a `?` before
it: `clip.mp4 3 ?17`.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, DatasetConfig, Manifest
from pipeline.core.video_files import SUFFIXES
from pipeline.datasets import _annotations, _rows
from pipeline.datasets._rows import Row

log = logging.getLogger(__name__)
ENDINGS = (".txt", ".lst", ".list", ".csv", ".tsv")
"""Of the files in a folder that may be lists."""
FRAMES = "original_vido_id"
"""How PySlowFast's lists of frames begin."""
_VIDEO = re.compile(
    rf"(?P<path>.*?(?:{'|'.join(map(re.escape, SUFFIXES))}))(?:(?P<mark>[\s,])\s*(?P<labels>.*))?", re.IGNORECASE
)
_FIRST_WORD = re.compile(r"(?P<path>[^\s,]+)(?:(?P<mark>[\s,])\s*(?P<labels>.*))?")


def read(config: DatasetConfig) -> Manifest:
    """The manifest of the corpus, in the order of the lists.

    Raises:
        UserError: a file is missing or malformed, or a number is that of no class; names the file and line.
    """
    _annotations.root_of(config)
    files = list_files(Path(config.annotations))
    rows = [row for file, split in files for row in rows_of(file, split)]
    if not rows:
        raise UserError(f"{config.annotations} lists no video. Add a line `clip.mp4 label` for each.")
    _refuse_frames(rows)
    return _rows.manifest(config, _named(config, rows))


def list_files(annotations: Path) -> list[tuple[Path, str]]:
    """The files and the split of each, in the order of `SPLITS`; one file has the split "", as a split is made.

    Raises:
        UserError: a folder has no list of train, or two of a split.
    """
    if not annotations.is_dir():
        return [(annotations, "")]
    files = [file for file in sorted(annotations.iterdir()) if file.suffix.lower() in ENDINGS and file.is_file()]
    named = {split: [file for file in files if split in file.stem.lower()] for split in SPLITS}
    for split, its in named.items():
        if len(its) > 1 or (split == "train" and not its):
            what = f"{len(its)} lists of {split} ({_rows.some([f.name for f in its])})" if its else "no list of train"
            raise UserError(
                f"{annotations} has {what}. It must have one file for each split, whose names hold train, val and "
                f"test and end in {', '.join(ENDINGS)}. Move the others away, or name one file in dataset.annotations."
            )
    if others := [file.name for file in files if not any(file in its for its in named.values())]:
        log.info("%s: no list of a split: %s", annotations, _rows.some(others))
    return [(file, split) for split, its in named.items() for file in its]


def rows_of(file: Path, split: str) -> Iterator[Row]:
    """The videos of one file; blank lines do not count.

    Raises:
        UserError: a line has no path or no label.
    """
    for number, line in enumerate(_annotations.text_of(file, "dataset.annotations").splitlines(), start=1):
        if not line.strip():
            continue
        if line.startswith(FRAMES):
            raise UserError(f"{file}, line {number}: this is PySlowFast's list of frames. Name a list of videos.")
        found = _VIDEO.fullmatch(line.strip()) or _FIRST_WORD.fullmatch(line.strip())
        if found is None:
            raise UserError(f"{file}, line {number}: {line!r} is no `clip.mp4 label`. Mend the line.")
        mark = found["mark"] if found["mark"] in ("\t", ",") else None
        yield Row.of(f"{file}, line {number}", found["path"], (found["labels"] or "").split(mark), split)


def _refuse_frames(rows: Sequence[Row]) -> None:
    """Refuse lists of folders of frames, `folder 163 7`, as mmaction2 has beside those of videos: 163 is no class."""
    bare = not any(row.video.lower().endswith(SUFFIXES) for row in rows)
    if bare and numbered(rows) and all(len(row.labels) > 1 for row in rows):
        raise UserError(
            f"{rows[0].where}: {rows[0].video!r} is no video by its ending, and {len(rows[0].labels)} numbers follow. "
            "In a list of folders of frames the first counts the frames. Take the list of the videos."
        )


def numbered(rows: Sequence[Row]) -> bool:
    """Whether every label is a number, as where classes are counted."""
    return all(label.isascii() and label.isdigit() for row in rows for label in (*row.labels, *row.unknown))


def _named(config: DatasetConfig, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the names of the classes that they count."""
    if not numbered(rows):
        return rows
    known = _annotations.class_file(config)
    if known is None:
        raise UserError(
            f"{rows[0].where}: the labels are numbers, and nothing says of what. Write a file with one class name a "
            "line, the first that of number 0, and name it in dataset.classes, or by `pipeline init --classes FILE`."
        )
    return _rows.named(rows, known)
