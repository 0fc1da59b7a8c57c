"""Stage `folds`: the labelled videos -> the manifest and class statistics of each fold of a cross-validation.

    python -m stages.folds data/manifest.tsv data/classes.txt data/groups.tsv data/broken.tsv data/folds/splits

Settings `dataset.folds`, `dataset.val_share` and `dataset.split_seed` of params.yaml. Only part of the pipeline where
`dataset.folds` is not 0. The folds are trained and tested by the stages `train_fold` and `infer_fold`.
"""

from pathlib import Path

import numpy as np

from pipeline.core import params
from pipeline.core.broken_videos import read_broken
from pipeline.core.manifest import DatasetConfig, Manifest
from pipeline.folds import partition
from stages.command import run


def main(manifest: Path, classes: Path, of_groups: Path, broken: Path, out: Path) -> None:
    """Deal the videos to folds."""
    config = params.load("dataset", DatasetConfig)
    corpus, lost = Manifest.read(manifest, classes, of_groups), [row.video for row in read_broken(broken)]
    fold = partition.write(out, corpus, lost, config)
    sizes = np.bincount(fold)[1:]
    print(f"{out}: {len(fold):,} videos in {len(sizes)} folds of {sizes.min():,} to {sizes.max():,}")


if __name__ == "__main__":
    run(main)
