"""What `pipeline init` prints: a corpus in figures, what it will cost, and what may go wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.check_corpus import problems
from pipeline.cli import forecast
from pipeline.cli.finding import size
from pipeline.cli.forecast import Forecast
from pipeline.cli.layout import Layout
from pipeline.clips import flips
from pipeline.core import groups, task
from pipeline.core.fingerprints import FAULTS
from pipeline.core.machine import Machine
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.plural import number_of
from pipeline.datasets._rows import some

FEW = 5
"""Number of val or test videos, and of train videos of a class, below which a warning is due."""


def lines(
    layout: Layout, corpus: Manifest, copies: int, settings: Mapping[str, Any], measured: Forecast, machine: Machine
) -> Iterator[str]:
    """Lines for a person; `copies` is the number of videos that have one, and `settings` all of params.yaml."""
    dataset = settings["dataset"]
    yield f"clips      {len(corpus):,} in {dataset['root']}; labels: {layout.why}"
    if "start" in corpus.table:
        cut = corpus.table[(corpus.table["start"] != "") | (corpus.table["end"] != "")]
        of = number_of(cut["path"].nunique(), "file")
        yield f"segments   {len(cut):,} of these, of {of} (start and end in seconds)"
    drawn = "" if layout.splits else f", drawn by dataset.split_seed {dataset['split_seed']}, stratified by label"
    yield f"split      {', '.join(f'{len(corpus.split(name)):,} {name}' for name in SPLITS)}{drawn}"
    yield f"classes    {_of_classes(corpus)}"
    held = "" if layout.splits else ", which the split does not tear apart"
    if named := {group for group in corpus.groups.values() if not group.startswith(groups.COPIES)}:
        yield f"groups     {len(named):,}{held}"
    if copies:
        yield f"copies     {copies:,} videos have the same bytes as another one{held} (dataset.doubles: keep)"
    yield f"task       {task.resolve(task.AUTO, corpus)}, by the number of labels of each video"
    yield f"mirror     {_mirrored(dataset['flip'], corpus.classes)}"
    yield from _costs(corpus, settings, measured, machine)
    yield from (f"warning    {text}" for text in warnings(corpus, settings, measured))


def warnings(corpus: Manifest, settings: Mapping[str, Any], measured: Forecast) -> Iterator[str]:
    """A line for each thing that may go wrong; what the readers of annotations warn of stands before."""
    yield from problems(corpus, settings)
    for split in ("val", "test"):
        if (videos := len(corpus.split(split))) < FEW:
            counted = number_of(videos, f"{split} video")
            yield f"With {counted} good models are told from bad ones by chance. Raise dataset.{split}_share."
    counts = dict(zip(corpus.classes, _videos_of_each(corpus.split("train")), strict=True))
    if few := [f"{name!r} ({count})" for name, count in counts.items() if count < FEW]:
        yield f"{len(few)} of {len(counts)} classes have fewer than {FEW} train videos: {some(few)}."
    empty = corpus.table["path"][corpus.table["fingerprint"].str.startswith("0-")].tolist()
    if empty:
        yield f"{number_of(len(empty), 'file')} of 0 bytes: {some(empty)}."
    if unreadable := [text for text in measured.unreadable if not text.endswith("(empty)")]:
        yield f"{len(unreadable)} of {measured.samples} videos that were tried gave no frame: {some(unreadable)}."


def _mirrored(flip: Any, classes: Sequence[str]) -> str:
    """What dataset.flip comes to for these classes."""
    sided = flips.sided(classes)
    about = (
        f", {'since' if flip == 'auto' else 'though'} names of classes are about sides: {some(sided)}" if sided else ""
    )
    if isinstance(flip, list):
        pairs = number_of(len(flip), "pair")
        return f"half of the training clips; {pairs} of labels swapped with the sides (dataset.flip)"
    mirrored = flip is True or (flip == "auto" and not sided)
    return (
        f"{'half of the training clips' if mirrored else 'no training clip'}{about} (dataset.flip: {str(flip).lower()})"
    )


def _of_classes(corpus: Manifest) -> str:
    counts = _videos_of_each(corpus)
    least, most = int(np.argmin(counts)), int(np.argmax(counts))
    names = corpus.classes
    if counts[least] == counts[most]:
        return f"{len(names):,}, of {number_of(counts[most], 'video')} each"
    ends = f"from {names[least]!r} ({number_of(counts[least], 'video')}) to {names[most]!r} ({counts[most]:,})"
    return f"{len(names):,}, {ends}"


def _videos_of_each(corpus: Manifest) -> np.ndarray:
    """Videos of each class, int (C,), counted without a table of videos by classes: there may be a million videos."""
    return np.bincount(corpus.label_pairs()[1], minlength=len(corpus.classes))


def _costs(corpus: Manifest, settings: Mapping[str, Any], measured: Forecast, machine: Machine) -> Iterator[str]:
    there = int((~corpus.table["fingerprint"].isin(FAULTS)).sum())
    side, fps = settings["extract"]["short_side"], settings["extract"]["fps"]
    yield (
        f"video      about {there * measured.seconds / 3600:.2g} hours ({measured.seconds:.1f} s a clip, by "
        f"{measured.samples - len(measured.unreadable)} of them)"
    )
    held = ("tars", "LMDB") if settings["extract"]["keep"] else ("LMDB",)  # each linked and not copied by DVC
    disk = int(there * measured.bytes * len(held))
    yield f"disk       about {size(disk)} for frames of {side} pixels, {fps} a second ({' and '.join(held)})"
    cores = number_of(machine.processes, "core")
    yield f"extract    about {_minutes(there * measured.extraction / machine.processes / 60)} on {cores}, as measured"
    times = forecast.training_minutes(settings["models"], len(corpus.split("train")))
    for name, minutes in times.items():
        told = "no rate is known" if minutes is None else f"about {_minutes(minutes)} on 2 cores, a guess"
        yield f"train      {name}: {told}"


def _minutes(minutes: float) -> str:
    return "a minute" if minutes < 1 else f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
