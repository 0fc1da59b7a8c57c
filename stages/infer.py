"""Stage `infer`: a trained model -> scores of every view of every val and test video.

    python -m stages.infer tsm_demo data/manifest.tsv data/classes.txt data/lmdb data/stats data/models/tsm_demo \\
        data/predictions/tsm_demo

Section `models.<name>.test` of params.yaml; all else comes from the checkpoint's recipe. A run that was killed goes on
after its last finished block of videos. With `infer.together`, the other models of the set are scored in the same pass.
"""

from pathlib import Path

from pipeline import inference, machine, params
from pipeline.inference import InferConfig
from pipeline.records import Manifest
from pipeline.statistics import ClassStatistics
from pipeline.store import FrameStore
from pipeline.views import ViewConfig
from stages.command import run


def main(model: str, manifest: Path, classes: Path, lmdb: Path, stats: Path, weights: Path, out: Path) -> None:
    """Score the val and test split."""
    models = params.read("models") if params.load("infer", InferConfig).together else [model]
    tests = {name: params.load(f"models.{name}.test", ViewConfig) for name in {model, *models}}
    corpus, statistics, store = Manifest.read(manifest, classes), ClassStatistics.read(stats), FrameStore(lmdb)
    grid = inference.run(model, tests, corpus, store, statistics, weights, out, machine.load())
    print(f"{out}: {len(grid)} views a video, {dict(inference.describe(grid))}")


if __name__ == "__main__":
    run(main)
