"""Stage `final`: all labelled videos + the epochs that the folds picked -> one model that is trained on everything.

    python -m stages.final NAME MANIFEST CLASSES LMDB WEIGHTS FEATURES EPOCHS OUT, as dvc.yaml has them

Where `dataset.folds` is not 0. Training ends at that share of its epochs which is the median of the folds', as no video
is left to tell it.
"""

import json
from pathlib import Path

from pipeline.clips.frame_store import FrameStore
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.features import Features
from pipeline.folds import partition
from pipeline.training.config import ProbeConfig, TrainConfig, epochs_of, kind
from pipeline.training.probe import fit_probe
from pipeline.training.trainer import fit
from stages.command import run


def main(
    model: str, manifest: Path, classes: Path, lmdb: Path, pretrained: Path, features: Path, epochs: Path, out: Path
) -> None:
    """Train the model that params.yaml describes under `models.<model>` on all labelled videos."""
    section, corpus = params.read(f"models.{model}"), partition.everything(Manifest.read(manifest, classes))
    config = kind(section).read(section, f"params.yaml: models.{model}").starting_in(pretrained)
    task = resolve(params.read("dataset.task"), corpus)
    if isinstance(config, ProbeConfig):  # it has no epochs, and chooses its settings anew on all videos
        fit_probe(config, corpus, Features.read(features / model), out, load_machine(), task)
    else:
        store = FrameStore(lmdb)
        statistics = partition.counted(corpus, store.videos)
        stop = last(config.train, json.loads(epochs.read_text(encoding="utf-8"))["share"], statistics.videos)
        fit(config, corpus, store, statistics, out, load_machine(), task, stop)
    print(f"{out}: trained on all labelled videos that gave frames, and not validated")


def last(train: TrainConfig, share: float, videos: int) -> int:
    """The epoch, counted from 1, after which so much of a training on so many videos is done.

    On more videos than a fold has, `least_steps` asks for fewer epochs, so that an epoch's number alone says nothing.
    """
    return max(1, round(share * epochs_of(train.epochs, train.least_steps, train.batch, videos)))


if __name__ == "__main__":
    run(main)
