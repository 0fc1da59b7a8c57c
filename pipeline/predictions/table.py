"""Prediction files: the scores of a model for every video of a split.

    <split>.parquet        a row for each video, in the order of the manifest: video, status, labels, scores by class
    <split>.views.npy      the logits of every view, float16 (V, K, C)
    <split>.views.json     the names of its axes, the views, and which views make which protocol

This file is about the first; view_scores.py is about the other two, and recomputes the first from them to the last bit.

`pipeline scores --help` lists the commands that look into these files.
"""

import dataclasses
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.clips.views import PROTOCOLS
from pipeline.core import checksums, files, task
from pipeline.core.errors import UserError
from pipeline.core.labels import hidden, many_hot, shown
from pipeline.core.names import RESERVED
from pipeline.core.task import Task

SPLITS = ("val", "test")
"""The splits that are predicted."""
FINAL = PROTOCOLS[-1]
"""The protocol of the tables."""
RESERVED_NAMES = ("chance", "corpus", "ensemble", "interval", "prior", "verdict", "videos")
"""Names that no model may have, since metrics.json has other metrics under them."""
OK, BROKEN, UNSEEN = "ok", "broken", "unseen"
STATES = (OK, BROKEN, UNSEEN)
"""What the column `status` may hold."""
_META = b"prediction"
_MAKES = "`dvc repro` makes it; or `pipeline scores import`, where the scores are another program's."


@dataclass(frozen=True)
class PredictionTable:
    """Probabilities of V videos and C classes, and what they were made with."""

    videos: tuple[str, ...]
    broken: np.ndarray
    """bool (V,): true for videos that gave no frame; their scores are the class prior."""
    labels: tuple[str, ...]
    """Labels as in the manifest, joined by ";"; ";" where a video shows none of the classes, and an empty text where
    nobody said. A name behind "?" is of a class of which nobody knows whether the video shows it."""
    classes: tuple[str, ...]
    probabilities: np.ndarray
    """float32 (V, C) in 0..1, of the protocol that `meta` names."""
    meta: Mapping[str, Any]
    """Plain values: model, hash of the checkpoint, protocol and view grid; or members and weights of an ensemble."""
    unseen: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    """bool (V,): true for videos that gave frames, but nothing that this model looks at, as one without a sound track
    does to a model that listens; their scores are the class prior. Without it, all false."""

    def __post_init__(self) -> None:
        unseen = self.unseen if len(self.unseen) else np.zeros(len(self.videos), bool)
        object.__setattr__(self, "unseen", unseen & ~self.broken)

    @property
    def seen(self) -> np.ndarray:
        """bool (V,): true for videos whose scores are an answer to what they show, and not the class prior."""
        seen: np.ndarray = ~(self.broken | self.unseen)
        return seen

    @property
    def task(self) -> Task:
        """What the probabilities are of: one of several classes (they sum to one), or each class by itself."""
        return task.read(self.meta, "a prediction file")

    @property
    def labelled(self) -> bool:
        """Whether the labels of every video are known, so that metrics can be computed."""
        return all(self.labels)

    def targets(self) -> np.ndarray:
        """Many-hot labels, -1 where one is not known: int8 (V, C)."""
        return many_hot(pd.Series(self.labels, dtype=str), self.classes)

    def write(self, path: Path) -> None:
        """Write one Parquet file, all or nothing; the same table gives the same bytes."""
        columns = {
            "video": pa.array(self.videos, pa.string()),
            "status": pa.array(np.select([self.broken, self.unseen], [BROKEN, UNSEEN], OK).tolist(), pa.string()),
            "labels": pa.array(self.labels, pa.string()),
        }
        columns |= {name: pa.array(self.probabilities[:, i]) for i, name in enumerate(self.classes)}
        table = pa.table(columns).replace_schema_metadata({_META: json.dumps(self.meta, sort_keys=True)})
        with files.aside(path) as partial:
            pq.write_table(table, partial)

    @classmethod
    def read(cls, path: Path) -> "PredictionTable":
        """Read a file that `write` wrote.

        Raises:
            UserError: the file is missing, damaged or no Parquet file, or its columns or metadata are not those of
                `write`; a video or class stands there twice, a status or label is unknown, or a score is not in 0..1
                (names the row, counted from 1).
        """
        if path.is_dir():
            raise UserError(f"{path} is a folder. Name a file in it, such as {path / 'val.parquet'}.")
        if not path.is_file():
            raise UserError(f"{path} does not exist. {_MAKES}")
        checksums.check(path)
        try:
            table = pq.ParquetFile(path).read()  # `read_table` cannot say which column stands there twice
            _check_columns(table.schema, path)
            video, status, labels = (column.to_pylist() for column in table.columns[:3])
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is no readable Parquet file ({error}). {_MAKES}") from error
        classes = tuple(table.column_names[3:])
        scores = np.stack([column.to_numpy() for column in table.columns[3:]], axis=1).astype(np.float32)

        def place(row: int) -> str:
            return f"{path}, row {row + 1}"

        _check_words(status, labels, classes, place)
        check_rows(video, classes, scores, place)
        _check_range(video, classes, scores, place)
        broken, unseen = (np.array(status) == state for state in (BROKEN, UNSEEN))
        return cls(tuple(video), broken, tuple(labels), classes, scores, read_meta(table.schema, path), unseen)


def remedy(model: str, meta: Mapping[str, Any]) -> str:
    """The command that makes the prediction files of a model again: a stage, or the import of scores."""
    if "source" in meta:
        files = shlex.join(meta["source"])
        return f"`pipeline scores import {files} --as {model}`, with its options, makes it anew."
    return f"`dvc repro --force infer@{model}` makes it anew."


def repeated(names: Sequence[str]) -> int | None:
    """The position of the first name that has occurred before; None where all differ."""
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            return position
        seen.add(name)
    return None


def check_rows(videos: Sequence[str], classes: Sequence[str], scores: np.ndarray, place: Callable[[int], str]) -> None:
    """Refuse videos that occur twice and scores (V, C) that are not finite.

    Args:
        place: number of a row -> the words that name it in messages.

    Raises:
        UserError: there is such a video or score.
    """
    if (twice := repeated(videos)) is not None:
        raise UserError(f"{place(twice)}: the video {videos[twice]!r} stands there a second time. Keep one.")
    finite = np.isfinite(scores)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise UserError(
            f"{place(row)} (video {videos[row]!r}): the score of {classes[column]!r} is {scores[row, column]}. "
            "Scores must be finite numbers; make the file again."
        )


def read_meta(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """The metadata of a prediction file, plain values; `path` names it in messages.

    Raises:
        UserError: they are no JSON object, or name an unknown task.
    """
    try:
        meta = json.loads((schema.metadata or {}).get(_META, b"{}"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the metadata `prediction` are no JSON ({error}). {_MAKES}") from error
    if not isinstance(meta, dict):
        raise UserError(f"{path}: the metadata `prediction` are no JSON object. {_MAKES}")
    task.read(meta, str(path))
    return meta


def _check_columns(schema: pa.Schema, path: Path) -> None:
    """Refuse other columns than those of `RESERVED`, which hold text, followed by numbers for each class."""
    if tuple(schema.names[:3]) != RESERVED:
        raise UserError(f"{path} has the columns {schema.names[:3]} first, not {list(RESERVED)}.")
    if (twice := repeated(schema.names)) is not None:
        raise UserError(f"{path} has two columns {schema.names[twice]!r} (number {twice + 1} repeats one).")
    if len(schema) == 3:
        raise UserError(f"{path} has no column of a class. {_MAKES}")
    for number, field in enumerate(schema):
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if not (text if number < 3 else pa.types.is_floating(field.type)):
            wanted = "text" if number < 3 else "floating-point numbers"
            raise UserError(f"{path}: the column {field.name!r} holds {field.type}, not {wanted}. {_MAKES}")


def _check_words(
    status: Sequence[str | None], labels: Sequence[str | None], classes: Sequence[str], place: Callable[[int], str]
) -> None:
    """Refuse a status that is none of `STATES`, and a label that is no column."""
    known = {"", *classes}
    for row, (state, text) in enumerate(zip(status, labels, strict=True)):
        if state not in STATES:
            raise UserError(f"{place(row)}: the status is {state!r}, none of {', '.join(map(repr, STATES))}.")
        names = (text,) if text is None else (*shown(text), *hidden(text))
        strange = [name for name in names if name not in known]
        if strange:
            raise UserError(f"{place(row)}: no column of a class is called {strange[0]!r}, as a label is.")


def _check_range(
    videos: Sequence[str], classes: Sequence[str], scores: np.ndarray, place: Callable[[int], str]
) -> None:
    """Refuse scores outside 0..1."""
    if scores.size and not 0 <= scores.min() <= scores.max() <= 1:
        row, column = np.argwhere((scores < 0) | (scores > 1))[0]
        raise UserError(
            f"{place(row)} (video {videos[row]!r}): the score of {classes[column]!r} is {scores[row, column]}. "
            "Probabilities lie in 0..1; make the file again."
        )
