"""The recipe that stands beside the weights: all that made them but the machine; and what a corpus is too small for."""

from typing import Any

from lightning_fabric import Fabric

from pipeline.class_stats import ClassStatistics
from pipeline.clips.inputs import Store
from pipeline.core import files
from pipeline.core.errors import UserError
from pipeline.core.machine import Machine
from pipeline.core.manifest import Manifest
from pipeline.runtime import fingerprint
from pipeline.training.config import ModelConfig

RECORDED = ("threads", "precision", "tf32", "clips_per_device", "channels_last", "compile")
"""Settings of the machine that change a result, if only in the last bit."""


def check_sizes(name: str, config: ModelConfig, train: Manifest, val: Manifest, stop: int | None) -> None:
    """Refuse a corpus of which too few videos gave frames, or have the flow or sound that the model takes."""
    usable = f"with {config.clip.input}"
    if config.train.batch > len(train):
        raise UserError(
            f"A batch of {config.train.batch} is more than the {len(train)} train videos {usable}. Lower "
            f"models.{name}.train.batch."
        )
    if not len(val) and not stop:
        raise UserError(f"No val video {usable}: no epoch could be told the best. Add such videos to the corpus.")


def recipe_of(config: ModelConfig, manifest: Manifest, store: Store, statistics: ClassStatistics) -> dict[str, Any]:
    """All that makes the weights but the machine, as plain values; `config` is resolved for the corpus and the task."""
    labels = files.fingerprint(manifest.table[["video", "split", "labels"]].values.tolist(), manifest.classes)
    settings = config.plain()
    del settings["train"]["least_steps"]  # the epochs say it
    del settings["train"]["train_sample"]  # it changes no weight
    if config.train.pretrained_set is None:
        del settings["train"]["pretrained_set"]  # as in the recipes of before there was a choice
    return {
        **settings,
        "data": {
            **config.content(store),
            "labels": labels,
            "statistics": files.fingerprint(statistics.counts.tolist()),
        },
        "versions": fingerprint.versions(config.arch),
    }


def ran_on(machine: Machine, fabric: Fabric, channels_last: bool) -> dict[str, Any]:
    """What of the machine the recipe says, beside what makes the weights; `channels_last` is what came of `auto`."""
    settings = {name: getattr(machine, name) for name in RECORDED}
    return {
        "device": fabric.device.type,
        "devices": fabric.world_size,
        **settings,
        "channels_last": channels_last,
    }
