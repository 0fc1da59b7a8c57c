"""Prediction files: the scores of a model for every video of a split.

    <split>.parquet        a row for each video, in the order of the manifest: video, status, labels, scores by class
    <split>.views.npy      the logits of every view, float16 (V, K, C)
    <split>.views.json     the names of its axes, the views, and which views make which protocol

The probability of a protocol is the mean over its views of the sigmoid of the STORED logits, so the Parquet file can be
recomputed from the other two to the last bit. A broken video holds the class prior in every view.

`pipeline scores --help` lists the commands that look into these files.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.clips.views import PROTOCOLS
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.manifest import LABEL_SEPARATOR, RESERVED, Manifest
from pipeline.core.task import MULTI_LABEL, Task

SPLITS = ("val", "test")
"""The splits that are predicted."""
FINAL = PROTOCOLS[-1]
"""The protocol of the tables."""
RESERVED_NAMES = ("chance", "corpus", "ensemble", "prior", "verdict", "videos")
"""Names that no model may have, since metrics.json has other metrics under them."""
OK, BROKEN = "ok", "broken"
_META = b"prediction"
_MAKES = "`dvc repro` makes it; or `pipeline scores import`, where the scores are another program's."
_CHUNK = 1 << 23
"""Number of logits that are averaged at a time: 64 MiB as float64."""


@dataclass(frozen=True)
class PredictionTable:
    """Probabilities of V videos and C classes, and what they were made with."""

    videos: tuple[str, ...]
    broken: np.ndarray
    """bool (V,): true for videos that gave no frame; their scores are the class prior."""
    labels: tuple[str, ...]
    """Labels as in the manifest, joined by ";"; an empty text where the video has none."""
    classes: tuple[str, ...]
    probabilities: np.ndarray
    """float32 (V, C) in 0..1, of the protocol that `meta` names."""
    meta: Mapping[str, Any]
    """Plain values: model, hash of the checkpoint, protocol and view grid; or members and weights of an ensemble."""

    @property
    def task(self) -> Task:
        """What the probabilities are of: one of several classes (they sum to one), or each class by itself."""
        task: Task = self.meta.get("task", MULTI_LABEL)
        return task

    @property
    def labelled(self) -> bool:
        """Whether every video has labels, so that metrics can be computed."""
        return all(self.labels)

    def targets(self) -> np.ndarray:
        """Many-hot labels: uint8 (V, C)."""
        position = {name: number for number, name in enumerate(self.classes)}
        targets = np.zeros((len(self.videos), len(self.classes)), dtype=np.uint8)
        for row, labels in enumerate(self.labels):
            for name in filter(None, labels.split(LABEL_SEPARATOR)):
                targets[row, position[name]] = 1
        return targets

    def write(self, path: Path) -> None:
        """Write one Parquet file, all or nothing; the same table gives the same bytes."""
        columns = {
            "video": pa.array(self.videos, pa.string()),
            "status": pa.array(np.where(self.broken, BROKEN, OK).tolist(), pa.string()),
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
            UserError: the file is missing or no Parquet file, or its columns or metadata are not those of `write`; a
                video or class stands there twice, a status or label is unknown, or a score is not in 0..1 (names the
                row, counted from 1).
        """
        if path.is_dir():
            raise UserError(f"{path} is a folder. Name a file in it, such as {path / 'val.parquet'}.")
        if not path.is_file():
            raise UserError(f"{path} does not exist. {_MAKES}")
        try:
            table = pq.ParquetFile(path).read()  # `read_table` cannot say which column stands there twice
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path} is no readable Parquet file ({error}). {_MAKES}") from error
        _check_columns(table.schema, path)
        classes = tuple(table.column_names[3:])
        video, status, labels = (column.to_pylist() for column in table.columns[:3])
        scores = np.stack([column.to_numpy() for column in table.columns[3:]], axis=1).astype(np.float32)

        def place(row: int) -> str:
            return f"{path}, row {row + 1}"

        _check_words(status, labels, classes, place)
        check_rows(video, classes, scores, place)
        _check_range(video, classes, scores, place)
        return cls(tuple(video), np.array(status) == BROKEN, tuple(labels), classes, scores, _meta(table.schema, path))


@dataclass(frozen=True)
class ViewScores:
    """The logits of every view of every video, from which any protocol can be computed without the model."""

    logits: np.ndarray
    """float16 (V, K, C), for V videos, K views and C classes."""
    grid: Mapping[str, Any]
    """The views, and for each protocol the positions of its views, as `ViewGrid.describe()` gives them."""

    def probabilities(self, protocol: str) -> np.ndarray:
        """The probabilities of a protocol, float32 (V, C): the mean over its views of the sigmoid.

        Raises:
            UserError: there is no such protocol.
        """
        if protocol not in self.grid["protocols"]:
            raise UserError(f"There is no protocol {protocol!r}, only {', '.join(self.grid['protocols'])}.")
        return self.mean_of(self.grid["protocols"][protocol])

    def mean_of(self, views: Sequence[int]) -> np.ndarray:
        """The mean over some views of the sigmoid, float32 (V, C); `views` are positions in the grid.

        It is computed for a few videos at a time, in float64: logits may lie on disk and be larger than memory.
        """
        videos, _, classes = self.logits.shape
        mean = np.empty((videos, classes), np.float32)
        step = max(1, _CHUNK // (len(views) * classes))
        for start in range(0, videos, step):
            logits = self.logits[start : start + step][:, list(views)].astype(np.float64)
            np.negative(logits, out=logits)
            np.logaddexp(0, logits, out=logits)  # a sigmoid that cannot overflow
            np.negative(logits, out=logits)
            mean[start : start + step] = np.exp(logits, out=logits).mean(axis=1)
        return mean

    def write(self, folder: Path, split: str) -> None:
        """Write `<split>.views.npy` and the JSON that names its axes."""
        with files.aside(folder / f"{split}.views.npy") as partial, partial.open("wb") as file:
            np.save(file, self.logits)
        self.describe(folder, split)

    def describe(self, folder: Path, split: str) -> None:
        """Write the JSON that names the axes."""
        axes = ["video (as in the Parquet file)", "view", "class (as in the Parquet file)"]
        described = {"axes": axes, "value": "logit", "shape": list(self.logits.shape), **self.grid}
        files.write_json(folder / f"{split}.views.json", described)

    @classmethod
    def read(cls, folder: Path, split: str) -> "ViewScores":
        """Read files that `write` wrote; the logits are read from disk when they are used.

        Raises:
            UserError: a file is missing or damaged, or they do not fit one another.
        """
        array, axes = folder / f"{split}.views.npy", folder / f"{split}.views.json"
        makes = _makes_views(folder, split)
        for path in (array, axes):
            if not path.is_file():
                raise UserError(f"{path} does not exist. {makes}")
        try:
            logits = np.load(array, mmap_mode="r")
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{array} cannot be read ({error}). {makes}") from error
        if not isinstance(logits, np.ndarray) or logits.dtype.kind != "f" or logits.ndim != 3:
            raise UserError(f"{array} holds no numbers of the shape (videos, views, classes). {makes}")
        shape, grid = _axes(axes, makes)
        if list(logits.shape) != shape:
            raise UserError(f"{array} has the shape {logits.shape}, and {axes.name} says {shape}. {makes}")
        return cls(logits, grid)


def protocol_table(
    manifest: Manifest, broken: np.ndarray, scores: ViewScores, protocol: str, meta: Mapping[str, Any]
) -> PredictionTable:
    """The table of one split under one protocol.

    Args:
        manifest: the videos of the split, broken ones included.
        broken: bool (V,), see PredictionTable.
        meta: plain values, to which the protocol and the grid are added.
    """
    labels = tuple(manifest.table["labels"])
    described = {**meta, "protocol": protocol, **scores.grid}
    probabilities = scores.probabilities(protocol)
    return PredictionTable(tuple(manifest.videos), broken, labels, manifest.classes, probabilities, described)


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


def prior_logits(prior: np.ndarray) -> np.ndarray:
    """The scores of a broken video: the logits (C,) of the class prior (C,), which may be 1 but not 0."""
    logits: np.ndarray = np.log(prior) - np.log1p(-np.minimum(prior, 1 - 1e-6))
    return logits


def write_split(
    folder: Path, split: str, corpus: Manifest, broken: np.ndarray, logits: Iterable[np.ndarray], prior: np.ndarray,
    grid: Mapping[str, Any], protocol: str, meta: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write all files of a split, one video at a time, since its logits may not fit into memory.

    Args:
        folder: a folder that is not in its place yet (`files.aside`), since an error leaves it incomplete.
        corpus: the videos of this split and of others.
        broken: bool (V,): true for videos of the split that get the prior in every view.
        logits: finite logits (K, C) of each video that is not broken, in the order of the split.
        prior: class prior (C,), see `prior_logits`.
        grid: the views, see ViewScores.
        protocol: the protocol of the table.
        meta: plain values for the table.
    """
    manifest = corpus.split(split)
    shape = len(manifest), len(grid["views"]), len(manifest.classes)
    answer = np.broadcast_to(prior_logits(prior), shape[1:])
    path, others = folder / f"{split}.views.npy", iter(logits)
    with path.open("wb") as file:  # and no memory map: on a full disk, writing to one ends the process
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        for bad in broken:
            file.write((answer if bad else next(others)).astype("<f2").tobytes())
    scores = ViewScores(np.load(path, mmap_mode="r"), grid)
    scores.describe(folder, split)
    protocol_table(manifest, broken, scores, protocol, meta).write(folder / f"{split}.parquet")


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
    """Refuse a status that is neither of the two, and a label that is no column."""
    known = {"", *classes}
    for row, (state, text) in enumerate(zip(status, labels, strict=True)):
        if state not in (OK, BROKEN):
            raise UserError(f"{place(row)}: the status is {state!r}, neither {OK!r} nor {BROKEN!r}.")
        strange = [text] if text is None else [name for name in text.split(LABEL_SEPARATOR) if name not in known]
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


def _meta(schema: pa.Schema, path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((schema.metadata or {}).get(_META, b"{}"))
    except ValueError as error:
        raise UserError(f"{path}: the metadata `prediction` are no JSON ({error}). {_MAKES}") from error
    if not isinstance(meta, dict):
        raise UserError(f"{path}: the metadata `prediction` are no JSON object. {_MAKES}")
    return meta


def _axes(path: Path, makes: str) -> tuple[list[int], dict[str, Any]]:
    """The shape and the grid that the JSON beside an array of views describes."""
    try:
        axes = json.loads(path.read_text(encoding="utf-8"))
        shape, views = list(axes["shape"]), [dict(view) for view in axes["views"]]
        protocols = {name: [index(position) for position in chosen] for name, chosen in axes["protocols"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}). {makes}") from error
    if shape[1:2] != [len(views)] or not protocols:
        raise UserError(f"{path} has {len(views)} views and {len(protocols)} protocols of the shape {shape}. {makes}")
    for name, chosen in protocols.items():
        if not chosen or min(chosen) < 0 or max(chosen) >= len(views):
            raise UserError(f"{path}: the protocol {name!r} averages the views {chosen}, of {len(views)}. {makes}")
    return shape, {"views": views, "protocols": protocols}


def _makes_views(folder: Path, split: str) -> str:
    """The command that makes the views of a folder again, or why there are none."""
    table = folder / f"{split}.parquet"
    try:
        meta = _meta(pq.read_schema(table), table)
    except (pa.ArrowInvalid, OSError, UserError):
        meta = {}
    if "weights" in meta:
        return "An ensemble has no views: look into its members."
    return remedy(folder.name, meta)
