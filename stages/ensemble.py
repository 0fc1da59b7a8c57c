"""Stage `ensemble`: prediction files + weights -> fused predictions, submission file, and the report's two tables.

    python -m stages.ensemble data/manifest.tsv data/classes.txt data/stats data/predictions data/ensemble \\
        data/metrics.json

Section `ensemble` of params.yaml.
"""

from pathlib import Path

from pipeline import fusion, params, work
from pipeline.ensemble import EnsembleConfig
from pipeline.records import Manifest
from pipeline.statistics import ClassStatistics
from stages.command import run


def main(manifest: Path, classes: Path, stats: Path, predictions: Path, out: Path, metrics: Path) -> None:
    """Fuse the members that the config names."""
    config = params.load("ensemble", EnsembleConfig)
    corpus, statistics = Manifest.read(manifest, classes), ClassStatistics.read(stats)
    results = fusion.run(config, corpus, statistics, predictions, out)
    work.write_json(metrics, results.flat())
    print((out / "tables.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
