"""Stage `final`, where `dataset.folds` is not 0: all labelled videos -> one model that is trained on everything.

python -m stages.final NAME MANIFEST CLASSES LMDB SOUND WEIGHTS FEATURES EPOCHS OUT, as dvc.yaml has them
"""

import json
from pathlib import Path

from pipeline.clips.inputs import store_of
from pipeline.core import checksums, params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.features import Features
from pipeline.folds import partition
from pipeline.training.frozen_config import ProbeConfig
from pipeline.training.kinds import kind
from pipeline.training.probe import fit_probe
from pipeline.training.trainer import fit
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, sound: Path, flow: Path, pretrained: Path, features: Path,
    epochs: Path, out: Path,
) -> None:  # fmt: skip
    """Train a model to the median share of the epochs that the folds picked: no video is left to tell it."""
    section, corpus = params.read(f"models.{model}"), partition.everything(Manifest.read(manifest, classes))
    config = kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    task, share = resolve(params.text("dataset.task"), corpus), json.loads(checksums.text(epochs))["share"]
    if isinstance(config, ProbeConfig):  # without epochs; it chooses its settings anew on all videos
        fit_probe(config, corpus, Features.read(features / model), out, load_machine(), task)
    else:
        found = partition.counted(corpus, (store := store_of(section["clip"], lmdb, sound, flow)).videos)
        fit(config, corpus, store, found, out, load_machine(), task, config.train.last_epoch(share, found.videos))
    print(f"{out}: trained on all labelled videos that it can see or hear, and not validated")


if __name__ == "__main__":
    run(main)
