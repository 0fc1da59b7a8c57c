"""A line an epoch in the log, and the curves, for `dvc plots show` and live for `dvc exp show` and editors."""

import logging
from collections.abc import Sequence
from pathlib import Path

from lightning_fabric.loggers.logger import Logger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from pipeline import metrics
from pipeline.core import checksums, files
from pipeline.core.task import MULTI_LABEL, Task
from pipeline.runtime.checkpoint import FILE
from pipeline.runtime.progress import duration
from pipeline.training import evaluate
from pipeline.training.speed import SpeedLog
from pipeline.training.trackers import Tracker, update

log = logging.getLogger(__name__)

FOLDER = "curves"


class EpochLogger:
    """A row an epoch, in the log and in DVCLive; only the first of several processes writes.

    Curves are results, and lie in `out`. How fast it goes is none, and lies in the folder `logs`, where there is one.
    Other trackers get both.
    """

    def __init__(
        self, out: Path, epochs: int, live: Logger | None, task: Task = MULTI_LABEL, logs: Path | None = None,
        trackers: Sequence[Tracker] = (),
    ) -> None:  # fmt: skip
        self.name, self.epochs, self.live, self.task, self.trackers = out.name, epochs, live, task, trackers
        self.speed = SpeedLog(logs, out) if logs and live is not None else None

    @classmethod
    def start(
        cls, out: Path, epochs: int, history: Sequence[dict[str, float]], task: Task = MULTI_LABEL,
        logs: Path | None = None, speeds: Sequence[dict[str, float]] = (), trackers: Sequence[Tracker] = (),
    ) -> "EpochLogger":  # fmt: skip
        """New curves that begin with what earlier runs of the same training had logged.

        Weights of another training in the folder `out` are deleted, since new curves beside them would mislead.
        """
        logger = cls(out, epochs, _live(out), task, logs, trackers)
        for number, row in enumerate(history, start=1):  # from 1: the logger takes 0 for "no step given"
            logger._curve(row, number)
        logger._beside(history, speeds)
        return logger

    def epoch(
        self, history: Sequence[dict[str, float]], speeds: Sequence[dict[str, float]], seconds: float, left: float
    ) -> None:
        """Write the last entry of `history`, and `speeds`; it took `seconds`, and the epochs to come take `left`."""
        self._curve(history[-1], len(history))
        self._beside(history, speeds)
        if self.live is not None:
            times = duration(seconds) + (f", {duration(left)} left" if left else "")
            log.info("%s  %s  %s", self.name, epoch_line(history, self.epochs, self.task), times)

    def end(self) -> None:
        """Say that the training is over."""
        if self.live is not None:
            self.live.finalize("success")

    def _beside(self, history: Sequence[dict[str, float]], speeds: Sequence[dict[str, float]]) -> None:
        if self.speed is not None:
            self.speed.write(speeds)
        if self.trackers:
            update(self.trackers, [row | speed for row, speed in zip(history, speeds, strict=True)])

    def _curve(self, row: dict[str, float], number: int) -> None:
        if self.live is not None:
            self.live.log_metrics(row, step=number)


def epoch_line(history: Sequence[dict[str, float]], epochs: int, task: Task = MULTI_LABEL) -> str:
    """What the last of the finished epochs came to, beside the best of them; epochs are counted from 1."""
    last, headline, validated = history[-1], evaluate.key(task), ""
    if headline in last:
        best = max(evaluate.best(history, task), 0)
        score, so_far = last[headline], history[best][headline]
        train = evaluate.key(task, "train")
        seen = f"; train {last[train]:.1f}" if train in last else ""
        validated = f"{metrics.SHORT[task]} {score:.1f} (best {so_far:.1f}, epoch {best + 1}{seen})  "
    return f"epoch {len(history)}/{epochs}  loss {last['loss']:.3f}  {validated}lr {last['lr']:.2g}"


@rank_zero_only
def _live(out: Path) -> Logger | None:
    from dvclive import Live  # noqa: PLC0415 - where weights are only computed, nothing need be drawn
    from dvclive.fabric import DVCLiveLogger  # noqa: PLC0415

    for name in (FILE, files.RECIPE, checksums.NAME):
        files.remove(out / name)
    return DVCLiveLogger(experiment=Live(dir=str(out / FOLDER), dvcyaml=False, save_dvc_exp=False))
