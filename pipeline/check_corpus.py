"""What a corpus is not fit for, said when its videos are listed and not after hours of training."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipeline.core import groups, task
from pipeline.core.errors import UserError
from pipeline.core.fingerprints import FAULTS
from pipeline.core.limits import LINEAR_VIDEOS
from pipeline.core.manifest import SPLITS, Manifest
from pipeline.core.plural import number_of
from pipeline.folds.partition import Corpus, partition
from pipeline.losses import auto

NAMED = 5
"""Number of classes that a message names."""


def check(manifest: Manifest, settings: Mapping[str, Any]) -> None:
    """Refuse a corpus that some stage would refuse later.

    Args:
        manifest: all videos of the corpus, with their groups.
        settings: all of params.yaml, as plain values that `pipeline.check` has found right.

    Raises:
        UserError: a line for all that is wrong.
    """
    found = list(problems(manifest, settings))
    if found:
        raise UserError("\n".join(["the corpus does not fit its settings:", *(f"  {line}" for line in found)]))


def problems(manifest: Manifest, settings: Mapping[str, Any]) -> Iterator[str]:
    """All that is wrong, a line each; videos whose file is missing or empty teach nothing and do not count."""
    files = manifest.table["fingerprint"]
    sound = manifest.without(manifest.table["video"][files.isin(FAULTS) | files.str.startswith("0-")])
    for split in SPLITS:
        if not len(sound.split(split)):
            yield f"dataset: every file of the split {split!r} ({len(manifest.split(split))}) is missing or empty."
    if len(manifest.classes) == 1:
        yield (
            f"dataset: {manifest.classes[0]!r} is the only class, so that there is nothing to tell apart. Give videos "
            "of another one, if only of what is not meant."
        )
    there = sound.split("train")
    for name, model in settings["models"].items():
        if (batch := model["train"].get("batch", 1)) > len(there):
            yield (
                f"models.{name}.train.batch: {batch} is more than the {number_of(len(there), 'train video')}. Lower it "
                f"in conf/model/{name}.yaml or `pipeline params models.{name}.train.batch={max(1, len(there) // 4)}`."
            )
        if "folds" in model["train"]:
            yield from _frozen(name, model, there)
    yield from _tasks(manifest, settings)
    val, folds = len(manifest.split("val")), settings["ensemble"]["folds"]
    if val < folds:
        yield (
            f"ensemble.folds: {number_of(val, 'val video')} cannot be cut into {folds} folds. Raise "
            "dataset.val_share, give more rows the split val, or lower ensemble.folds (2 at least)."
        )
    _, column = there.label_pairs()
    lost = np.flatnonzero(np.bincount(column, minlength=len(there.classes)) == 0)
    if len(lost):
        names = ", ".join(repr(there.classes[number]) for number in lost[:NAMED])
        yield (
            f"dataset: {len(lost)} of {len(there.classes)} classes have no train video, or only missing files: {names}"
            f"{', ...' if len(lost) > NAMED else ''}. Bring the files, or drop the classes."
        )
    if settings["dataset"]["folds"]:
        try:
            partition(Corpus.of(sound, ()), settings["dataset"]["folds"], settings["dataset"]["split_seed"])
        except UserError as error:
            yield f"dataset.folds: {error}"


def _frozen(name: str, model: Mapping[str, Any], there: Manifest) -> Iterator[str]:
    """What is wrong with the train videos of a model whose network is frozen."""
    alone = model["arch"] == "probe"  # which has no other head
    if (alone or model["options"].get("head") == "linear") and len(there) > LINEAR_VIDEOS:
        others = "leave it out of the set: `pipeline params model=...`"
        if not alone:
            others = f"take its other head: `pipeline params models.{name}.options.head=attentive`"
        yield (
            f"models.{name}: a linear layer is fitted by a comparison of every two train videos, which is out of reach "
            f"for {len(there):,} of them ({LINEAR_VIDEOS:,} at most); {others}."
        )
    if len(set(groups.of_each(there.videos, there.groups) or there.videos)) < 2:
        yield (
            f"models.{name}: all {len(there)} train videos are of one group, and a cross-validation over groups "
            "chooses the settings of a probe. Bring videos of other groups, or leave the probe out of the set."
        )


def _tasks(manifest: Manifest, settings: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with dataset.task for these labels, and with the losses for the task."""
    try:
        found = task.resolve(settings["dataset"]["task"], manifest)
    except UserError as error:
        yield str(error)
        return
    for name, model in settings["models"].items():
        try:
            auto.meant(model["train"]["loss"]["name"], found)
        except UserError as error:
            yield f"models.{name}.{error}"
