"""Scores of other programs -> prediction files, so that they can be a member of an ensemble.

Read are tables (CSV, or Parquet) with a column of ids and a column a class, and result pickles of mmaction2 and
PySlowFast (result_pickle.py). Pickles name neither videos nor classes, so that text files must. Every video of the val
and test split must have one row, and classes must stand in the order of the corpus.
"""

import csv
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.class_stats import ClassStatistics
from pipeline.clips.views import PROTOCOLS
from pipeline.core import checksums, files
from pipeline.core.broken_videos import read_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.names import RESERVED
from pipeline.core.task import MULTI_LABEL, Task, resolve
from pipeline.predictions import result_pickle
from pipeline.predictions.logits import as_logits, check_kind
from pipeline.predictions.table import FINAL, RESERVED_NAMES, SPLITS, check_rows, repeated
from pipeline.predictions.view_scores import ViewScores, write_split

log = logging.getLogger(__name__)
PICKLES = (".pkl", ".pickle")
GRID = {"views": [{"source": "another program"}], "protocols": {name: [0] for name in PROTOCOLS}}
"""Grid of imported scores: one view of each video, which is all that any protocol averages."""


@dataclass(frozen=True)
class Scores:
    """The scores in one file, of V videos and C classes."""

    path: Path
    """The file that names the videos."""
    videos: Sequence[str]
    classes: Sequence[str]
    values: np.ndarray
    """float64 (V, C): probabilities or logits, or sums of them over views."""
    lines: Sequence[int]
    """Number of the line in `path` that each row stands on, counted from 1."""

    def place(self, row: int) -> str:
        """The file and line of a row, for messages."""
        return f"{self.path}, line {self.lines[row]}"


def import_files(
    sources: Sequence[Path], name: str, data: Path, *,
    kind: str, views: int, id_column: str, ids: Sequence[Path], names: Path | None, task: str,
) -> Path:  # fmt: skip
    """Write the scores in `sources` as the predictions of the member `name`; the folder that was written.

    `data` is the folder of manifest, statistics and predictions; the rest are options of `pipeline scores import`.

    Raises:
        UserError: the name is taken or cannot be a folder's, or the scores are not those of the corpus.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise UserError(f"--as {name!r}: a member's name is that of one folder, and does not begin with a dot.")
    if name in RESERVED_NAMES:
        raise UserError(f"--as {name!r}: metrics.json has other figures under that name. Take another.")
    corpus = Manifest.read(data / "manifest.tsv", data / "classes.txt")
    statistics = ClassStatistics.read(data / "stats")
    broken = {row.video for row in read_broken(data / "broken.tsv")}
    found = resolve(task, corpus)
    read = read_scores(sources, id_column, ids, names, broken)
    by_video = checked(read, kind, views, corpus, broken, found)
    out = data / "predictions" / name
    _check_free(out)
    write(out, by_video, corpus, statistics, broken, {str(file): files.file_hash(file) for file in sources}, found)
    return out


def read_scores(
    files: Sequence[Path], id_column: str, ids: Sequence[Path], names: Path | None, broken: Collection[str]
) -> list[Scores]:
    """Read tables and pickles; the rows of `broken` videos are left out.

    Args:
        id_column: name of the column of ids in tables.
        ids: text files with the ids of each pickle, in the order of the pickles among `files`.
        names: text file with the classes of all pickles.

    Raises:
        UserError: a file is missing or damaged, or of an unknown kind; or there is not one list of ids for each pickle.
    """
    pickled = [file for file in files if file.suffix in PICKLES]
    if len(ids) != len(pickled) or (names is None) != (not pickled):
        raise UserError(
            f"There are {len(pickled)} pickles, {len(ids)} --ids and {0 if names is None else 1} --names. Pickles hold "
            "scores without names. Give --ids (a text file with one video id a line, in the order of the list that was "
            "tested) once for each, in their order, and --names (one class a line, in the order of the scores) once."
        )
    lists = iter(ids)
    return [
        _from_pickle(file, next(lists), names, broken)
        if names and file in pickled
        else _from_table(file, id_column, broken)
        for file in files
    ]


def checked(
    read: Sequence[Scores], kind: str, views: int, corpus: Manifest, broken: set[str], task: Task = MULTI_LABEL
) -> dict[str, np.ndarray]:
    """The logits float64 (C,) of each video that gave frames, after every check.

    `kind` is "probabilities" or "logits", and the scores are sums over so many `views`.

    Raises:
        UserError: other classes or another order, an unknown id, a video twice or missing, a score that is not finite.
    """
    expected = {video for split in SPLITS for video in corpus.split(split).videos}
    found: dict[str, np.ndarray] = {}
    where: dict[str, str] = {}
    for scores in read:
        _check_classes(scores, corpus.classes)
        check_rows(scores.videos, scores.classes, scores.values, scores.place)
        if (remark := check_kind(scores.values, kind, views, str(scores.path))) and task == MULTI_LABEL:
            log.warning("%s, though the corpus has several labels a video. It can be fused all the same.", remark)
        for row, video in enumerate(scores.videos):
            if video not in expected:
                known = "is a train video" if video in set(corpus.videos) else "is not in the manifest"
                raise UserError(
                    f"{scores.place(row)}: the video {video!r} {known}. Ids are those of data/manifest.tsv."
                )
            if video in found:
                raise UserError(f"{scores.place(row)}: the video {video!r} stood in {where[video]} already.")
            found[video] = as_logits(scores.values[row] / views, kind, scores.place(row), task)
            where[video] = scores.place(row)
    missing = [video for video in corpus.videos if video in expected and video not in found and video not in broken]
    if missing:
        raise UserError(
            f"{', '.join(str(scores.path) for scores in read)}: {len(missing)} of {len(expected)} videos are missing: "
            f"{_some(missing)}. Give several files where val and test lie apart."
        )
    return found


def write(
    out: Path, found: Mapping[str, np.ndarray], corpus: Manifest, statistics: ClassStatistics, broken: set[str],
    sources: Mapping[str, str], task: Task = MULTI_LABEL,
) -> None:  # fmt: skip
    """Write the logits (C,) of videos as prediction files; broken videos get the class prior, as from every model.

    Args:
        sources: file that was imported -> SHA-256 of its bytes.
    """
    meta = {"model": out.name, "source": dict(sources)}
    with files.aside(out) as partial:
        partial.mkdir()
        for split in SPLITS:
            videos = corpus.split(split).videos
            lost = np.array([video in broken for video in videos], dtype=bool)
            rows = (found[video][None] for video, gone in zip(videos, lost, strict=True) if not gone)
            write_split(partial, split, corpus, lost, rows, statistics.prior, GRID, FINAL, meta, task)
        checksums.seal(partial)


def _check_free(out: Path) -> None:
    """Refuse an existing folder that import-scores did not write, since it would be replaced."""
    if not out.exists():
        return
    try:
        views = ViewScores.read(out, "val").grid["views"]
    except UserError:
        views = None
    if views != GRID["views"]:
        raise UserError(
            f"{out} holds the predictions of a model of this project, or what `pipeline scores import` did not write. "
            "Take another name, or delete it."
        )


def _from_table(path: Path, id_column: str, broken: Collection[str]) -> Scores:
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    try:
        if path.suffix == ".parquet":
            read = pq.read_table(path)
            read.validate(full=True)  # its texts, too, which pandas decodes when they are used
            table = read.to_pandas()
            table.index = pd.RangeIndex(1, len(table) + 1)
        elif path.suffix == ".csv":
            table = _read_csv(path, id_column)
        else:
            raise UserError(f"{path}: {path.suffix or 'a file without suffix'} is neither .csv, .parquet nor .pkl.")
    except _UNREADABLE as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    if id_column not in table.columns:
        raise UserError(
            f"{path} has no column {id_column!r}; name that of the ids with --id. It has {_some(table.columns)}."
        )
    classes = [str(name) for name in table.columns if name not in {id_column, *RESERVED}]
    table = table[~table[id_column].isin(broken)]
    nameless = table.index[table[id_column].isna() | (table[id_column].astype(str) == "")]
    if len(nameless):
        raise UserError(f"{path}, line {nameless[0]}: the row has no id in the column {id_column!r}.")
    videos = table[id_column].astype(str).tolist()
    return Scores(path, videos, classes, _numbers(path, table[classes]), table.index.tolist())


def _read_csv(path: Path, id_column: str) -> pd.DataFrame:
    """The rows of a CSV file that are not empty, indexed by their line number. An id may be called NA."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if (twice := repeated(header)) is not None:  # pandas would rename it
        raise UserError(f"{path}, line 1: the column {header[twice]!r} stands there twice.")
    empty = {name: [""] for name in header if name != id_column}
    table = pd.read_csv(
        path, dtype={id_column: str}, na_values=empty, keep_default_na=False, encoding="utf-8-sig",
        skip_blank_lines=False,
    )  # fmt: skip
    table.index = pd.RangeIndex(2, len(table) + 2)
    return table[~(table.isna() | table.eq("")).all(axis=1)]


def _numbers(path: Path, table: pd.DataFrame) -> np.ndarray:
    """The scores of a table as float64 (V, C); its index holds the line numbers."""
    try:
        numbers: np.ndarray = table.to_numpy(dtype=np.float64)
        return numbers
    except (ValueError, TypeError, OverflowError):
        for line, values in zip(table.index, table.itertuples(index=False), strict=True):
            for name, value in zip(table.columns, values, strict=True):
                try:
                    float(value)
                except (ValueError, TypeError, OverflowError):
                    raise UserError(f"{path}, line {line}: {value!r} is no score of {name!r}.") from None
        raise


def _check_classes(scores: Scores, classes: tuple[str, ...]) -> None:
    given = tuple(scores.classes)
    if given == classes:
        return
    if sorted(given) == sorted(classes):
        place = next(i for i, (a, b) in enumerate(zip(given, classes, strict=True)) if a != b)
        raise UserError(
            f"{scores.path}: its classes stand in another order than those of the corpus, first at position "
            f"{place + 1} ({given[place]!r} instead of {classes[place]!r}). Reorder them as in data/classes.txt."
        )
    lacking, spare = [c for c in classes if c not in given], [c for c in given if c not in classes]
    twice = repeated(given)
    raise UserError(
        f"{scores.path}: its {len(given)} classes are not the {len(classes)} of the corpus: missing {_some(lacking)}; "
        f"unknown {_some(spare)}; twice {'none' if twice is None else given[twice]}."
    )


def _from_pickle(path: Path, ids: Path, names: Path, broken: Collection[str]) -> Scores:
    values = result_pickle.read(path)
    videos, classes = _lines(ids), _lines(names)
    if values.shape != (len(videos), len(classes)):
        raise UserError(
            f"{path} holds scores of {values.shape[0]} videos and {values.shape[1]} classes, {ids} names {len(videos)} "
            f"videos and {names} {len(classes)} classes."
        )
    kept = [row for row, video in enumerate(videos) if video not in broken]
    return Scores(ids, [videos[row] for row in kept], classes, values[kept], [row + 1 for row in kept])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). It is to be a text file in UTF-8, a name a line.") from error


_UNREADABLE = (
    *(pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, OSError, RecursionError),
    *(ValueError, LookupError, TypeError, AttributeError),  # of pandas about what it keeps in a Parquet file
)
"""Errors of the readers of tables for a file that is damaged or of another kind."""


def _some(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "") if listed else "none"
