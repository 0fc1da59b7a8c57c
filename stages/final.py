"""Stage `final`: all labelled videos + the epochs that the folds picked -> one model that is trained on everything.

    python -m stages.final tsm_demo data/manifest.tsv data/classes.txt data/lmdb data/weights \\
        data/cross_validation/epochs/tsm_demo.json data/final/models/tsm_demo

Sections arch, options, clip and train of `models.<name>` in params.yaml. Training ends after the median of the folds'
epochs, since no video is left to tell the best. Only part of the pipeline where `dataset.folds` is not 0. It may be
stopped and goes on as stage `train` does.
"""

import json
from pathlib import Path

from pipeline import class_stats
from pipeline.clips.frame_store import FrameStore
from pipeline.core import params
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest
from pipeline.core.task import resolve
from pipeline.folds import partition
from pipeline.training.config import ModelConfig
from pipeline.training.trainer import fit
from stages.command import run


def main(model: str, manifest: Path, classes: Path, lmdb: Path, pretrained: Path, epochs: Path, out: Path) -> None:
    """Train the model that params.yaml describes under `models.<model>` on all labelled videos."""
    config = ModelConfig.read(params.read(f"models.{model}"), f"params.yaml: models.{model}").starting_in(pretrained)
    corpus, store = partition.everything(Manifest.read(manifest, classes)), FrameStore(lmdb)
    good = corpus.without(set(corpus.videos) - set(store.videos))
    stop = json.loads(epochs.read_text(encoding="utf-8"))["median"]
    statistics = class_stats.count(good.targets(), corpus.classes)
    fit(config, corpus, store, statistics, out, load_machine(), resolve(params.read("dataset.task"), corpus), stop)
    print(f"{out}: trained on {len(good):,} videos to epoch {stop}, which is not validated")


if __name__ == "__main__":
    run(main)
