"""Experiment trackers that a training may also write to: TensorBoard, Weights & Biases, MLflow (`machine.logger`).

Each is an extra, and imported only where it is asked for. A training has one run there, under the fingerprint of its
recipe, its data and the code; where it was killed and goes on, so does its run.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lightning_fabric.utilities.rank_zero import rank_zero_only

from pipeline.core.errors import UserError
from pipeline.core.machine import Machine

log = logging.getLogger(__name__)

Row = Mapping[str, float]


class Tracker(Protocol):
    """A run of a tracker.

    Attributes:
        first: number of the first epoch, from 1, that it does not have.
    """

    first: int

    def log(self, epoch: int, row: Row, /) -> None:
        """Write the figures of an epoch."""

    def close(self, *, finished: bool) -> None:
        """End it: the training has `finished`, or may go on later."""


class TensorBoard:
    """Event files in LOGS/tensorboard/RUN. A training that goes on writes all epochs anew, in place of those before."""

    def __init__(self, logs: Path, run: str, name: str, recipe: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self.first = 1
        self.writer = SummaryWriter(str(logs / "tensorboard" / run), purge_step=1)
        self.writer.add_text(f"recipe of {name}", f"```json\n{json.dumps(recipe, indent=2)}\n```", 0)

    def log(self, epoch: int, row: Row) -> None:
        """Write the figures of an epoch."""
        for name, value in row.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        del finished
        self.writer.close()


class WeightsAndBiases:
    """A run that its own variables place (WANDB_PROJECT, WANDB_MODE=offline, ...); its files lie in LOGS/wandb."""

    def __init__(self, logs: Path, run: str, name: str, recipe: Mapping[str, Any]) -> None:
        import wandb  # noqa: PLC0415

        logs.mkdir(parents=True, exist_ok=True)
        try:
            self.run = wandb.init(id=run, name=name, resume="allow", dir=str(logs), config=dict(recipe))
        except (wandb.errors.UsageError, wandb.errors.CommError) as error:
            raise UserError(
                f"machine.logger: wandb does not start ({error}). `wandb login`, or set WANDB_MODE=offline."
            ) from error
        self.first = max(1, self.run.starting_step)

    def log(self, epoch: int, row: Row) -> None:
        """Write the figures of an epoch."""
        self.run.log(dict(row), step=epoch)

    def close(self, *, finished: bool) -> None:
        """End the run."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run in LOGS/mlflow.db, or at MLFLOW_TRACKING_URI; of the experiment MLFLOW_EXPERIMENT_NAME, or Default."""

    def __init__(self, logs: Path, run: str, name: str, recipe: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient  # noqa: PLC0415
        from mlflow.entities import Param  # noqa: PLC0415

        logs.mkdir(parents=True, exist_ok=True)
        own = f"sqlite:///{(logs / 'mlflow.db').absolute()}"
        self.client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", own))
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        found = self.client.get_experiment_by_name(wanted)
        experiment = found.experiment_id if found else self.client.create_experiment(wanted)
        before = self.client.search_runs([experiment], f"tags.training = '{run}'")
        if before:
            self.run = before[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
        else:
            self.run = self.client.create_run(experiment, run_name=name, tags={"training": run}).info.run_id
            self.client.log_batch(self.run, params=[Param(key, text) for key, text in flat(recipe)])
        self.first = 1 + max((one.step for one in self.client.get_metric_history(self.run, "loss")), default=0)

    def log(self, epoch: int, row: Row) -> None:
        """Write the figures of an epoch."""
        for name, value in row.items():
            self.client.log_metric(self.run, name, value, step=epoch)

    def close(self, *, finished: bool) -> None:
        """Say how the run has ended."""
        self.client.set_terminated(self.run, "FINISHED" if finished else "KILLED")


PACKAGES = {"tensorboard": ("tensorboard",), "wandb": ("wandb",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
TRACKERS: dict[str, Callable[[Path, str, str, Mapping[str, Any]], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


@contextmanager
def opened(machine: Machine, run: str, name: str, recipe: Mapping[str, Any]) -> Iterator[list[Tracker]]:
    """The trackers of `machine.logger` until the context ends; of several processes, only the first has any.

    Args:
        run: the training's name and fingerprint, by which it is found again.
        name: of the model.
        recipe: plain values, which are shown beside the curves.

    Raises:
        UserError: one is not installed, or does not start.
    """
    finished, made = False, list[Tracker]()
    try:
        for logger in machine.loggers if getattr(rank_zero_only, "rank", 0) == 0 else ():
            require(logger)
            made.append(TRACKERS[logger](Path(machine.logs), run, name, recipe))
        yield made
        finished = True
    finally:
        for tracker in made:
            tracker.close(finished=finished)


def require(logger: str) -> None:
    """Look whether what a tracker needs is installed.

    Raises:
        UserError: it is not.
    """
    if lacking := [package for package in PACKAGES[logger] if find_spec(package) is None]:
        raise UserError(
            f"machine.logger: {logger} needs {' and '.join(lacking)}, which is not installed. `python -m pip install "
            f"--constraint constraints.txt --editable '.[{logger}]'`, or set machine.logger: none."
        )


def update(trackers: Sequence[Tracker], rows: Sequence[Row]) -> None:
    """Give each tracker the epochs that it does not have, of `rows`, an epoch each.

    One that fails, as where its server is away, does not end the training, and gets them after the next epoch.
    """
    for tracker in trackers:
        try:
            for epoch in range(tracker.first, len(rows) + 1):
                tracker.log(epoch, rows[epoch - 1])
                tracker.first = epoch + 1
        except Exception as error:  # noqa: BLE001 - each package has errors of its own
            log.warning("%s did not take the figures of an epoch: %s", type(tracker).__name__, error)


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Pairs (dotted name, value as text) of nested plain values."""
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
