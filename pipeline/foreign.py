"""Scores of other programs -> prediction files, so that they can be a member of an ensemble.

Read are tables (CSV, or Parquet) with a column of ids and a column a class, and result pickles: a list of score
vectors (mmaction2 0.x, `--out`), of samples with `pred_score` or `pred_scores` (mmaction2 1.x, `--dump`), or a pair
of scores and labels (PySlowFast, TEST.SAVE_RESULTS_PATH). Pickles name neither videos nor classes, so that two text
files must. Every video of the val and test split must have one row, and classes must stand in the order of the corpus.
"""

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from pipeline import ledger, pickles, predictions, work
from pipeline.ensemble import TAKEN
from pipeline.errors import BadInput
from pipeline.inference import FINAL, SPLITS
from pipeline.predictions import ViewScores
from pipeline.records import RESERVED, Manifest
from pipeline.statistics import ClassStatistics
from pipeline.views import PROTOCOLS

KINDS = ("probabilities", "logits")
SMALLEST = 2.0**-24
"""Probabilities are kept this far from 0 and 1: their logits stay finite."""
GRID = {"views": [{"source": "another program"}], "protocols": {name: [0] for name in PROTOCOLS}}
"""One view a video, which is every protocol."""


@dataclass(frozen=True)
class Scores:
    """What one file says."""

    path: Path
    videos: Sequence[str]
    classes: Sequence[str]
    values: np.ndarray
    """float64 (V, C)."""
    first_line: int
    """Of the file (or of the list of ids) that the first row stands on."""

    def place(self, row: int) -> str:
        """For messages: where a row stands."""
        return f"{self.path}, line {self.first_line + row}"


def add_arguments(command: argparse.ArgumentParser, data: Path) -> None:
    """The options of import-scores."""
    command.description = __doc__
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help=".csv, .parquet or .pkl; a split each, or both"
    )
    command.add_argument("--as", dest="name", required=True, metavar="NAME", help="of the member")
    command.add_argument("--values", choices=KINDS, default=KINDS[0], help="what the scores are (default: %(default)s)")
    command.add_argument("--id", default=RESERVED[0], metavar="COLUMN", help="of the ids (default: %(default)s)")
    command.add_argument("--ids", type=Path, help="for a pickle: a text file with one id a line, in its order")
    command.add_argument("--names", type=Path, help="for a pickle: a text file with one class a line, in its order")
    command.add_argument("--data", type=Path, default=data, help="folder of manifest, statistics and predictions")


def run(args: argparse.Namespace) -> str:
    """Do what the command line asks for; what to say in the end."""
    if not args.name or Path(args.name).name != args.name or args.name.startswith("."):
        raise BadInput(f"--as {args.name!r}: a member's name is that of one folder, and does not begin with a dot.")
    if args.name in TAKEN:
        raise BadInput(f"--as {args.name!r}: metrics.json has other figures under that name. Take another.")
    corpus = Manifest.read(args.data / "manifest.tsv", args.data / "classes.txt")
    statistics = ClassStatistics.read(args.data / "stats")
    broken = {row.video for row in ledger.read(args.data / "broken.tsv")}
    read = [read_scores(file, args.id, args.ids, args.names) for file in args.files]
    by_video = checked(read, args.values, corpus, broken)
    out = args.data / "predictions" / args.name
    _check_free(out)
    sources = {file.name: work.file_hash(file) for file in args.files}
    write(out, by_video, corpus, statistics, broken, sources)
    return (
        f"{out}: {len(by_video)} videos of {', '.join(SPLITS)}\n"
        f"To fuse it, add {args.name!r} to ensemble.members in conf/config.yaml, then `make params` and `dvc repro`."
    )


def read_scores(path: Path, id_column: str, ids: Path | None, names: Path | None) -> Scores:
    """Read one file, whatever it is.

    Raises:
        BadInput: it is missing or damaged, or of no kind that is known.
    """
    if not path.is_file():
        raise BadInput(f"{path} does not exist.")
    if path.suffix in (".pkl", ".pickle"):
        return _from_pickle(path, ids, names)
    try:
        if path.suffix == ".parquet":
            table, first_line = pd.read_parquet(path), 1
        elif path.suffix == ".csv":
            table, first_line = _read_csv(path, id_column), 2
        else:
            raise BadInput(f"{path}: {path.suffix or 'a file without suffix'} is neither .csv, .parquet nor .pkl.")
    except (pa.ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} cannot be read ({error}).") from error
    if id_column not in table.columns:
        raise BadInput(
            f"{path} has no column {id_column!r}; name that of the ids with --id. It has {_some(table.columns)}."
        )
    classes = [str(name) for name in table.columns if name not in {id_column, *RESERVED}]
    videos = table[id_column].astype(str).tolist()
    return Scores(path, videos, classes, _numbers(path, table[classes], first_line), first_line)


def checked(read: Sequence[Scores], kind: str, corpus: Manifest, broken: set[str]) -> dict[str, np.ndarray]:
    """The logits (C,) of each video that is to be predicted, after every check; `kind` is one of KINDS.

    Raises:
        BadInput: other classes or another order, an unknown id, a video twice or missing, a score that is not finite.
    """
    expected = {video for split in SPLITS for video in corpus.split(split).videos}
    found: dict[str, np.ndarray] = {}
    where: dict[str, str] = {}
    for scores in read:
        _check_classes(scores, corpus.classes)
        predictions.check_rows(scores.videos, scores.classes, scores.values, scores.place)
        for row, video in enumerate(scores.videos):
            if video not in expected:
                known = "is a train video" if video in set(corpus.videos) else "is not in the manifest"
                raise BadInput(f"{scores.place(row)}: the video {video!r} {known}. Ids are those of data/manifest.tsv.")
            if video in found:
                raise BadInput(f"{scores.place(row)}: the video {video!r} stood in {where[video]} already.")
            found[video] = as_logits(scores.values[row], kind, scores.place(row))
            where[video] = scores.place(row)
    missing = [video for video in corpus.videos if video in expected and video not in found and video not in broken]
    if missing:
        raise BadInput(
            f"{', '.join(str(scores.path) for scores in read)}: {len(missing)} of {len(expected)} videos are missing: "
            f"{_some(missing)}. Give several files where val and test lie apart."
        )
    return found


def write(
    out: Path, found: Mapping[str, np.ndarray], corpus: Manifest, statistics: ClassStatistics, broken: set[str],
    sources: Mapping[str, str],
) -> None:  # fmt: skip
    """Write the logits of videos as prediction files; broken videos get the prior, as from every member."""
    prior = np.log(statistics.prior) - np.log1p(-np.minimum(statistics.prior, 1 - 1e-6))
    meta = {"model": out.name, "source": dict(sources)}
    with work.aside(out) as partial:
        partial.mkdir()
        for split in SPLITS:
            manifest = corpus.split(split)
            seen = np.array([video not in broken for video in manifest.videos])
            rows = [found[v] if good else prior for v, good in zip(manifest.videos, seen, strict=True)]
            scores = ViewScores(np.stack(rows)[:, None].astype(np.float16), GRID)
            predictions.table(manifest, ~seen, scores, FINAL, meta).write(partial / f"{split}.parquet")
            scores.write(partial, split)


def as_logits(values: np.ndarray, kind: str, where: str) -> np.ndarray:
    """Scores (C,) as logits.

    Raises:
        BadInput: probabilities lie outside 0..1, or a logit is too large to be stored; `where` names the row.
    """
    low, high = values.min(), values.max()
    if kind == "logits":
        if max(-low, high) > np.finfo(np.float16).max:
            raise BadInput(f"{where}: logits from {low:g} to {high:g}, and 65504 is the largest that is stored.")
        return values
    if low < 0 or high > 1:
        raise BadInput(
            f"{where}: probabilities from {low:g} to {high:g}, not in 0..1. For logits, add --values logits."
        )
    inside = np.clip(values, SMALLEST, 1 - SMALLEST)
    return np.log(inside) - np.log1p(-inside)


def _check_free(out: Path) -> None:
    """Refuse a folder that is there and was not written here: all of it would be replaced."""
    if not out.exists():
        return
    try:
        views = ViewScores.read(out, "val").grid["views"]
    except BadInput:
        views = None
    if views != GRID["views"]:
        raise BadInput(
            f"{out} holds the predictions of a model of this project, or what import-scores did not write. "
            "Take another name, or delete it."
        )


def _read_csv(path: Path, id_column: str) -> pd.DataFrame:
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file), [])
    if (twice := predictions.repeated(header)) is not None:  # pandas would rename it
        raise BadInput(f"{path}, line 1: the column {header[twice]!r} stands there twice.")
    return pd.read_csv(path, dtype={id_column: str}, encoding="utf-8", skip_blank_lines=False)


def _numbers(path: Path, table: pd.DataFrame, first_line: int) -> np.ndarray:
    try:
        return table.to_numpy(dtype=np.float64)
    except (ValueError, TypeError):
        for row, values in enumerate(table.itertuples(index=False)):
            for name, value in zip(table.columns, values, strict=True):
                try:
                    float(value)
                except (ValueError, TypeError):
                    raise BadInput(f"{path}, line {first_line + row}: {value!r} is no score of {name!r}.") from None
        raise


def _check_classes(scores: Scores, classes: tuple[str, ...]) -> None:
    given = tuple(scores.classes)
    if given == classes:
        return
    if sorted(given) == sorted(classes):
        place = next(i for i, (a, b) in enumerate(zip(given, classes, strict=True)) if a != b)
        raise BadInput(
            f"{scores.path}: its classes stand in another order than those of the corpus, first at position "
            f"{place + 1} ({given[place]!r} instead of {classes[place]!r}). Reorder them as in data/classes.txt."
        )
    lacking, spare = [c for c in classes if c not in given], [c for c in given if c not in classes]
    twice = predictions.repeated(given)
    raise BadInput(
        f"{scores.path}: its {len(given)} classes are not the {len(classes)} of the corpus: missing {_some(lacking)}; "
        f"unknown {_some(spare)}; twice {'none' if twice is None else given[twice]}."
    )


def _from_pickle(path: Path, ids: Path | None, names: Path | None) -> Scores:
    if ids is None or names is None:
        raise BadInput(
            f"{path} holds scores without names. Give --ids (a text file with one video id a line, in the order of the "
            "list that was tested) and --names (one class a line, in the order of the scores)."
        )
    values = _score_rows(path, pickles.load_arrays(path, TENSORS))
    videos, classes = (file.read_text(encoding="utf-8").splitlines() for file in (ids, names))
    if values.shape != (len(videos), len(classes)):
        raise BadInput(
            f"{path} holds scores of {values.shape[0]} videos and {values.shape[1]} classes, {ids} names {len(videos)} "
            f"videos and {names} {len(classes)} classes."
        )
    return Scores(ids, videos, classes, values, 1)


def _score_rows(path: Path, content: Any) -> np.ndarray:
    """(V, C) from whatever layout a result pickle has."""
    rows = content
    if isinstance(content, (list, tuple)) and len(content) == 2 and all(np.ndim(part) == 2 for part in content):
        rows = content[0]  # PySlowFast: scores, labels
    elif isinstance(content, list) and content and all(isinstance(sample, dict) for sample in content):
        rows = [_of_sample(path, number, sample) for number, sample in enumerate(content)]
    try:
        values = np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} holds no list of score vectors of one length ({error}).") from error
    if values.ndim != 2:
        raise BadInput(f"{path} holds an array of shape {values.shape}, not (videos, classes).")
    return values


def _of_sample(path: Path, number: int, sample: Mapping[str, Any]) -> Any:
    scores = sample.get("pred_score", sample.get("pred_scores"))
    if isinstance(scores, dict):  # mmaction2 1.0: {"item": scores}
        scores = scores.get("item")
    if scores is None:
        raise BadInput(f"{path}: sample {number} has no pred_score, only {_some(sample)}.")
    return scores


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), "cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> np.ndarray:
    return torch._utils._rebuild_tensor_v2(storage, offset, tuple(size), tuple(stride), False, {}).numpy()  # noqa: SLF001


TENSORS = {"torch._utils._rebuild_tensor_v2": _tensor, "torch.storage._load_from_bytes": _storage}
"""What stands for the names in which PyTorch spells a tensor that was pickled by itself."""


def _some(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "") if listed else "none"
