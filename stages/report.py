"""Stage `report`: all that the other stages found -> one HTML page, and the lists that it shortens as CSV.

    python -m stages.report data/manifest.tsv data/classes.txt data/frames/index.tsv data/broken.tsv data/doubles.tsv \\
        data/lmdb data/stats data/models data/predictions data/ensemble data/metrics.json data/overrides.json \\
        data/report

Section `report` of params.yaml and `dataset.root`, whose last part names the corpus; the files name their models.
"""

from pathlib import Path

from pipeline.core import params
from pipeline.report.config import ReportConfig
from pipeline.report.inputs import InputPaths
from pipeline.report.page import PAGE, write_page
from stages.command import run


def main(
    manifest: Path, classes: Path, index: Path, broken: Path, of_doubles: Path, lmdb: Path, stats: Path, models: Path,
    predictions: Path, ensemble: Path, metrics: Path, overrides: Path, out: Path,
) -> None:  # fmt: skip
    """Write the page."""
    paths = (manifest, classes, index, broken, of_doubles, lmdb, stats, models, predictions, ensemble, metrics)
    write_page(InputPaths(*paths, overrides), out, params.text("dataset.root"), params.load("report", ReportConfig))
    print(f"{out / PAGE}: {(out / PAGE).stat().st_size / 1e6:.1f} MB, open it in any browser")


if __name__ == "__main__":
    run(main)
