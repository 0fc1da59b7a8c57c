"""Stage `ensemble`: prediction files + weights -> fused predictions, submission file, and the report's two tables.

    python -m stages.ensemble data/manifest.tsv data/classes.txt data/stats data/predictions data/ensemble \\
        data/metrics.json

Section `ensemble` of params.yaml.
"""

from pathlib import Path

from pipeline.class_stats import ClassStatistics
from pipeline.core import files, params
from pipeline.core.manifest import Manifest
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.run import run_ensemble
from stages.command import run


def main(manifest: Path, classes: Path, stats: Path, predictions: Path, out: Path, metrics: Path) -> None:
    """Fuse the members that the config names."""
    config = params.load("ensemble", EnsembleConfig)
    corpus, statistics = Manifest.read(manifest, classes), ClassStatistics.read(stats)
    results = run_ensemble(config, corpus, statistics, predictions, out)
    files.write_json(metrics, results.flat())
    print((out / "tables.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
