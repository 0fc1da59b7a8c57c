"""The figures that a run has for a model or for its ensemble: those of these very weights, or none."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import metrics
from pipeline.clips.inputs import input_of, store_of
from pipeline.clips.views import PROTOCOLS
from pipeline.core.broken_videos import read_broken
from pipeline.core.manifest import Manifest
from pipeline.core.task import Task
from pipeline.predictions.table import SPLITS, PredictionTable

_ENSEMBLE = "ensemble"
"""The folder of the ensemble's files, and its name in metrics.json."""
_OF_ENSEMBLE = {
    "val_crossfit": ("val", "cross-fitted weights"),
    "val_choice": ("val", "cross-fitted, and chosen anew for each fold"),
    "test": ("test", "weights used"),
}
"""Key of metrics.json -> its split, and what was measured. That of val with the weights used is left out, as they may
have been fitted to these very videos."""


_BESIDE = {"prior": "class prior", "chance": "random answers"}
"""Key of metrics.json -> what answers without a look at the videos, and figures are to be held against."""


class Figure(NamedTuple):
    """A figure in percent, and the ends of its 95 % interval."""

    split: str
    what: str
    value: float
    ends: tuple[float, float]


@dataclass(frozen=True)
class Figures:
    """What a card tells of a run."""

    metric: str
    """Name of the metric of the figures."""
    rows: tuple[Figure, ...]
    """None where the run has not tested these weights."""
    videos: dict[str, int]
    """Split -> number of videos, where the run knows it; of train, those that a model here could learn from."""


def of_model(data: Path, name: str, task: Task, weights_sha256: str, clip: Any) -> Figures:
    """The figures of a member under each protocol, from the outs in `data`; `clip` is that section of its recipe."""
    flat = _measured(data, {name: weights_sha256})
    own, ends = flat.get(name, {}), flat.get("interval", {})
    rows = []
    for split in SPLITS:
        for protocol in PROTOCOLS:
            key = f"{split}_{protocol}"
            if key in own:
                low, high = (ends[f"{name}_{key}_{end}"] for end in ("low", "high"))
                rows.append(Figure(split, protocol, own[key], (low, high)))
    return _held_against(Figures(metrics.TITLE[task], tuple(rows), _videos(data, flat, [clip])), flat)


def of_ensemble(data: Path, task: Task, weights_sha256: Mapping[str, str], clips: Iterable[Any]) -> Figures:
    """The figures of the ensemble of these members; `clips` are those sections of their recipes."""
    flat = _measured(data, weights_sha256)
    own, ends = flat.get(_ENSEMBLE, {}), flat.get("interval", {})
    rows = [
        Figure(*named, own[key], (ends[f"{_ENSEMBLE}_{key}_low"], ends[f"{_ENSEMBLE}_{key}_high"]))
        for key, named in _OF_ENSEMBLE.items()
        if key in own
    ]
    return _held_against(Figures(metrics.TITLE[task], tuple(rows), _videos(data, flat, clips)), flat)


def _held_against(found: Figures, flat: Mapping[str, Any]) -> Figures:
    """The figures, and those of answers without a look at the videos, of the same splits."""
    splits = dict.fromkeys(row.split for row in found.rows)
    beside = [
        Figure(split, what, flat[key][split], (flat[key][f"{split}_low"], flat[key][f"{split}_high"]))
        for split in splits
        for key, what in _BESIDE.items()
        if split in flat.get(key, {})
    ]
    return replace(found, rows=(*found.rows, *beside))


def _measured(data: Path, weights_sha256: Mapping[str, str]) -> dict[str, Any]:
    """Content of metrics.json, if it is of these weights; else nothing."""
    table, file = data / _ENSEMBLE / "val.parquet", data / "metrics.json"
    if not table.is_file() or not file.is_file():
        return {}
    measured = PredictionTable.read(table).meta.get("checkpoints", {})
    if any(measured.get(name) != sha for name, sha in weights_sha256.items()):
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _videos(data: Path, flat: Mapping[str, Any], clips: Iterable[Any]) -> dict[str, int]:
    """The number of videos by split."""
    counted = {split: flat["videos"].get(f"{split}_n_expected", 0) for split in SPLITS} if flat else {}
    return _learnt_from(data, clips) | {split: number for split, number in counted.items() if number}


def _learnt_from(data: Path, clips: Iterable[Any]) -> dict[str, int]:
    """The number of train videos that one of the models or more could learn from; nothing where `data` lacks the lists.

    Frames need no more than the list of broken videos, which a clone has that pulled no frames.
    """
    kinds = {input_of(clip): clip for clip in clips}
    manifest, classes, broken = lists = [data / name for name in ("manifest.tsv", "classes.txt", "broken.tsv")]
    others = {kind: clip for kind, clip in kinds.items() if kind != "frames"}
    if not all(path.exists() for path in (*lists, *(data / kind for kind in others))):
        return {}
    train, usable = set(Manifest.read(manifest, classes).split("train").videos), set[str]()
    if "frames" in kinds:
        usable |= train - {row.video for row in read_broken(broken)}
    for clip in others.values():
        usable |= train & set(store_of(clip, data / "lmdb", data / "sound", data / "flow").videos)
    return {"train": len(usable)}
