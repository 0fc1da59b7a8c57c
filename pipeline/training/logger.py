"""The training curves: a row an epoch, for `dvc plots show`, and live for `dvc exp show` and editors."""

from collections.abc import Sequence
from pathlib import Path

from dvclive import Live
from dvclive.fabric import DVCLiveLogger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from pipeline.core import files
from pipeline.runtime.checkpoint import FILE

FOLDER = "curves"


class Curves:
    """What training logs; only the first of several processes writes."""

    def __init__(self, logger: DVCLiveLogger | None) -> None:
        self.logger = logger

    @classmethod
    def start(cls, out: Path, history: Sequence[dict[str, float]]) -> "Curves":
        """New curves that begin with what earlier runs of the same training had logged.

        Weights of another training in the same folder go: beside new curves they would tell a lie.
        """
        curves = cls(_logger(out))
        for number, row in enumerate(history, start=1):  # from 1: the logger takes 0 for "no step given"
            curves.log(row, step=number)
        return curves

    def log(self, row: dict[str, float], step: int) -> None:
        """The figures at the end of epoch `step`, counted from 1."""
        if self.logger is not None:
            self.logger.log_metrics(row, step=step)

    def end(self) -> None:
        """Say that the training is over."""
        if self.logger is not None:
            self.logger.finalize("success")


@rank_zero_only
def _logger(out: Path) -> DVCLiveLogger | None:
    for name in (FILE, files.RECIPE):
        files.remove(out / name)
    return DVCLiveLogger(experiment=Live(dir=str(out / FOLDER), dvcyaml=False, save_dvc_exp=False))
