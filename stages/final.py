"""Stage `final`: all labelled videos + the epochs that the folds picked -> one model that is trained on everything.

    python -m stages.final NAME MANIFEST CLASSES LMDB WEIGHTS FEATURES EPOCHS OUT, as dvc.yaml has them

Where `dataset.folds` is not 0. Training ends after the median share of the folds' epochs: no video is left to tell it.
"""

import json
from pathlib import Path

from pipeline.clips.frame_store import FrameStore
from pipeline.core import checksums, params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.features import Features
from pipeline.folds import partition
from pipeline.training.config import ProbeConfig, kind
from pipeline.training.probe import fit_probe
from pipeline.training.trainer import fit
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, pretrained: Path, features: Path, epochs: Path, out: Path
) -> None:
    """Train the model that params.yaml describes under `models.<model>` on all labelled videos."""
    section, corpus = params.read(f"models.{model}"), partition.everything(Manifest.read(manifest, classes))
    config = kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    task, share = resolve(params.text("dataset.task"), corpus), json.loads(checksums.text(epochs))["share"]
    if isinstance(config, ProbeConfig):  # it has no epochs, and chooses its settings anew on all videos
        fit_probe(config, corpus, Features.read(features / model), out, load_machine(), task)
    else:
        found = partition.counted(corpus, (store := FrameStore(lmdb)).videos)
        fit(config, corpus, store, found, out, load_machine(), task, config.train.last_epoch(share, found.videos))
    print(f"{out}: trained on all labelled videos that gave frames, and not validated")


if __name__ == "__main__":
    run(main)
