"""Stage `infer`: a trained model -> scores of every view of every val and test video.

    python -m stages.infer tsm_demo data/manifest.tsv data/classes.txt data/lmdb data/stats data/models/tsm_demo \\
        data/predictions/tsm_demo

Section `models.<name>.test` of params.yaml; all else comes from the checkpoint's recipe.
"""

from pathlib import Path

from pipeline import inference, machine, params, work
from pipeline.records import Manifest
from pipeline.statistics import ClassStatistics
from pipeline.store import FrameStore
from pipeline.views import ViewConfig
from stages.command import run


def main(model: str, manifest: Path, classes: Path, lmdb: Path, stats: Path, weights: Path, out: Path) -> None:
    """Score the val and test split."""
    config = params.load(f"models.{model}.test", ViewConfig)
    corpus, statistics, store = Manifest.read(manifest, classes), ClassStatistics.read(stats), FrameStore(lmdb)
    predictor = inference.Predictor(weights, config, machine.load())
    with work.aside(out) as partial:
        partial.mkdir()
        for split in inference.SPLITS:
            table, views = predictor.predict(corpus.split(split), store, statistics)
            table.write(partial / f"{split}.parquet")
            views.write(partial, split)
    print(f"{out}: {len(predictor.grid)} views a video, {dict(inference.describe(predictor.grid))}")


if __name__ == "__main__":
    run(main)
