"""The scores of every view of every video, from which the probabilities of any protocol follow without the model.

    <split>.views.npy      the logits of every view, float16 (V, K, C)
    <split>.views.json     the names of its axes, the views, and which views make which protocol

The probability of a protocol is the mean over its views of the sigmoid of the STORED logits (of the softmax, where each
video has one label). A broken video, or one that the model cannot see, holds the class prior in every view.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core import checksums, files, npy
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.task import MULTI_LABEL, Task, noted, read
from pipeline.predictions.table import PredictionTable, read_meta, remedy

_CHUNK = 1 << 18
"""Number of logits that are averaged at a time: 2 MiB as float64, which stay in the cache of a CPU core."""


@dataclass(frozen=True)
class ViewScores:
    """The logits of every view of every video, from which any protocol can be computed without the model."""

    logits: np.ndarray
    """float16 (V, K, C), for V videos, K views and C classes."""
    grid: Mapping[str, Any]
    """The views, and for each protocol the positions of its views, as `ViewGrid.describe()` gives them."""
    task: Task = MULTI_LABEL
    """Whether the probabilities of a view are the sigmoid of its logits, or (single_label) their softmax."""

    def probabilities(self, protocol: str) -> np.ndarray:
        """The probabilities of a protocol, float32 (V, C): the mean over its views of the sigmoid or softmax.

        Raises:
            UserError: there is no such protocol.
        """
        if protocol not in self.grid["protocols"]:
            raise UserError(f"There is no protocol {protocol!r}, only {', '.join(self.grid['protocols'])}.")
        return self.mean_of(self.grid["protocols"][protocol])

    def nearest(self, protocol: str, own: object) -> str:
        """The protocol that answers for one that was asked for: itself, or `own` where there are no views for it.

        A model that listens has no scales, and scores of another program may have any views.
        """
        return protocol if protocol in self.grid["protocols"] else str(own)

    def mean_of(self, views: Sequence[int]) -> np.ndarray:
        """The mean over some views of the sigmoid or softmax, float32 (V, C); `views` are positions in the grid.

        It is computed for a few videos at a time, in float64: logits may lie on disk and be larger than memory.
        """
        videos, _, classes = self.logits.shape
        mean = np.empty((videos, classes), np.float32)
        step = max(1, _CHUNK // (len(views) * classes))
        for start in range(0, videos, step):
            mean[start : start + step] = _activate(self.logits[start : start + step][:, list(views)], self.task).mean(1)
        return mean

    def write(self, folder: Path, split: str) -> None:
        """Write `<split>.views.npy` and the JSON that names its axes."""
        with files.aside(folder / f"{split}.views.npy") as partial, partial.open("wb") as file:
            np.save(file, self.logits)
        self.describe(folder, split)

    def describe(self, folder: Path, split: str) -> None:
        """Write the JSON that names the axes."""
        axes = ["video (as in the Parquet file)", "view", "class (as in the Parquet file)"]
        described = {"axes": axes, "value": "logit", "shape": list(self.logits.shape), **noted(self.task), **self.grid}
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
            checksums.check(path)
        try:
            logits = npy.read(array)
        except ValueError as error:
            raise UserError(f"{array} cannot be read ({error}). {makes}") from error
        if logits.dtype.kind != "f" or logits.ndim != 3:
            raise UserError(f"{array} holds no numbers of the shape (videos, views, classes). {makes}")
        shape, grid, task = _axes(axes, makes)
        if list(logits.shape) != shape:
            raise UserError(f"{array} has the shape {logits.shape}, and {axes.name} says {shape}. {makes}")
        return cls(logits, grid, task)


def protocol_table(
    manifest: Manifest, broken: np.ndarray, scores: ViewScores, protocol: str, meta: Mapping[str, Any],
    unseen: np.ndarray | None = None,
) -> PredictionTable:  # fmt: skip
    """The table of one split under one protocol.

    Args:
        manifest: the videos of the split, broken ones included.
        broken: bool (V,), see PredictionTable.
        meta: plain values, to which the task, the protocol and the grid are added.
        unseen: bool (V,), see PredictionTable; None for none.
    """
    labels = tuple(manifest.table["labels"])
    described = {**meta, **noted(scores.task), "protocol": protocol, **scores.grid}
    probabilities = scores.probabilities(protocol)
    lost = np.zeros(len(manifest), bool) if unseen is None else unseen
    return PredictionTable(tuple(manifest.videos), broken, labels, manifest.classes, probabilities, described, lost)


def prior_logits(prior: np.ndarray, task: Task = MULTI_LABEL) -> np.ndarray:
    """The scores of a video that is broken or unseen: the logits (C,) whose sigmoid or softmax is the class prior (C,).

    An entry of the prior may be 1 but not 0; where each video has one label, the prior sums to 1.
    """
    logits: np.ndarray = np.log(prior)
    if task == MULTI_LABEL:
        logits = logits - np.log1p(-np.minimum(prior, 1 - 1e-6))
    return logits


def write_split(
    folder: Path, split: str, corpus: Manifest, broken: np.ndarray, logits: Iterable[np.ndarray], prior: np.ndarray,
    grid: Mapping[str, Any], protocol: str, meta: Mapping[str, Any], task: Task = MULTI_LABEL,
    unseen: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Write all files of a split, one video at a time, since its logits may not fit into memory.

    Args:
        folder: a folder that is not in its place yet (`files.aside`), since an error leaves it incomplete.
        corpus: the videos of this split and of others.
        broken: bool (V,): true for videos of the split that get the prior in every view.
        logits: finite logits (K, C) of each video that is neither broken nor unseen, in the order of the split.
        prior: class prior (C,), see `prior_logits`.
        grid: the views, see ViewScores.
        protocol: the protocol of the table.
        meta: plain values for the table.
        task: what the logits are of.
        unseen: bool (V,): true for videos that gave frames, but nothing that the model looks at; they get the prior,
            too. None for none.
    """
    manifest = corpus.split(split)
    shape = len(manifest), len(grid["views"]), len(manifest.classes)
    answer = np.broadcast_to(prior_logits(prior, task), shape[1:])
    path, others = folder / f"{split}.views.npy", iter(logits)
    with path.open("wb") as file:  # and no memory map: on a full disk, writing to one ends the process
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        for bad in broken if unseen is None else broken | unseen:
            file.write((answer if bad else next(others)).astype("<f2").tobytes())
    scores = ViewScores(np.load(path, mmap_mode="r"), grid, task)
    scores.describe(folder, split)
    protocol_table(manifest, broken, scores, protocol, meta, unseen).write(folder / f"{split}.parquet")


def _activate(logits: np.ndarray, task: Task) -> np.ndarray:
    """The sigmoid of logits (..., C), or their softmax over the classes, in float64; neither overflows."""
    if task == MULTI_LABEL and logits.dtype == np.float16:
        found: np.ndarray = _sigmoids_of_float16()[logits.view(np.uint16)]
        return found
    wide = logits.astype(np.float64)
    if task == MULTI_LABEL:
        return _sigmoid(wide)
    wide -= wide.max(axis=-1, keepdims=True)
    np.exp(wide, out=wide)
    wide /= wide.sum(axis=-1, keepdims=True)
    return wide


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """The sigmoid of logits, float64, in their place."""
    np.negative(logits, out=logits)
    np.logaddexp(0, logits, out=logits)
    np.negative(logits, out=logits)
    np.exp(logits, out=logits)
    return logits


@cache
def _sigmoids_of_float16() -> np.ndarray:
    """The sigmoid of every float16, by its 16 bits: to look one up takes a tenth of the time that computing it does."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    with np.errstate(invalid="ignore"):  # some of them are no numbers
        return _sigmoid(every.astype(np.float64))


def _axes(path: Path, makes: str) -> tuple[list[int], dict[str, Any], Task]:
    """The shape, the grid and the task that the JSON beside an array of views describes."""
    try:
        axes = json.loads(path.read_text(encoding="utf-8"))
        shape, views = list(axes["shape"]), [dict(view) for view in axes["views"]]
        protocols = {name: [index(position) for position in chosen] for name, chosen in axes["protocols"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error!r}). {makes}") from error
    if shape[1:2] != [len(views)] or not protocols:
        raise UserError(f"{path} has {len(views)} views and {len(protocols)} protocols of the shape {shape}. {makes}")
    for name, chosen in protocols.items():
        if not chosen or min(chosen) < 0 or max(chosen) >= len(views):
            raise UserError(f"{path}: the protocol {name!r} averages the views {chosen}, of {len(views)}. {makes}")
    return shape, {"views": views, "protocols": protocols}, read(axes, str(path))


def _makes_views(folder: Path, split: str) -> str:
    """The command that makes the views of a folder again, or why there are none."""
    table = folder / f"{split}.parquet"
    try:
        meta = read_meta(pq.read_schema(table), table)
    except (pa.ArrowInvalid, OSError, UserError):
        meta = {}
    if "weights" in meta:
        return "An ensemble has no views: look into its members."
    return remedy(folder.name, meta)
