"""Stage `cross_validation`: prediction files of every fold -> held-out scores of every video, and their metrics.

    python -m stages.cross_validation data/folds/splits data/folds/models data/folds/predictions \\
        data/cross_validation data/cross_validation.json

Section `models` of params.yaml names the models. Only part of the pipeline where `dataset.folds` is not 0.
"""

from pathlib import Path

from pipeline.core import files, params
from pipeline.folds import held_out
from stages.command import run


def main(splits: Path, models: Path, predictions: Path, out: Path, metrics: Path) -> None:
    """Gather what each fold held out."""
    files.write_json(metrics, held_out.write(list(params.read("models")), splits, models, predictions, out))
    print((out / held_out.TABLES).read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
