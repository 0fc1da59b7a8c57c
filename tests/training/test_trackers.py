"""TensorBoard, Weights & Biases and MLflow: what a training writes there, read back by their own readers.

Those tests need the extras, which `make nightly` installs.
"""

import contextlib
import json
import logging
import struct
import sys
from collections.abc import Iterator

import pytest

from pipeline.core.errors import UserError
from pipeline.training import trackers
from pipeline.training.step import TrainStep
from tests.support import tiny


class Killed(Exception):
    pass


class Kept:
    """A tracker whose server may be away."""

    def __init__(self) -> None:
        self.first, self.away, self.rows = 1, False, {}

    def log(self, epoch, row) -> None:
        if self.away:
            raise ConnectionError("no route")
        self.rows[epoch] = row

    def close(self, *, finished) -> None:
        self.finished = finished


@pytest.mark.parametrize("logger", trackers.TRACKERS)
def test_a_tracker_that_is_not_installed_is_told_before_anything_runs(logger, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, logger, None)
    with (
        pytest.raises(UserError, match=rf"machine.logger: {logger} needs {logger}.*--editable '.\[{logger}\]'"),
        trackers.opened(tiny.machine(tmp_path, logger=logger), "net-0", "net", {}),
    ):
        pass


def test_no_tracker_is_the_default(tmp_path):
    with trackers.opened(tiny.machine(tmp_path), "net-0", "net", {}) as made:
        assert made == []


def test_what_a_tracker_did_not_take_it_gets_after_the_next_epoch(caplog):
    kept, other, rows = Kept(), Kept(), [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]
    kept.first = 2  # of an earlier run
    kept.away = True
    trackers.update([kept, other], rows[:2])
    assert "Kept did not take the figures of an epoch: no route" in caplog.messages
    kept.away = False
    trackers.update([kept, other], rows)
    assert kept.rows == dict(enumerate(rows[1:], start=2))
    assert other.rows == dict(enumerate(rows, start=1))


@pytest.mark.parametrize("finished", [True, False])
def test_a_tracker_is_told_how_the_training_ended(finished, monkeypatch, tmp_path):
    kept = Kept()
    monkeypatch.setitem(trackers.TRACKERS, "wandb", lambda *_: kept)
    monkeypatch.setitem(trackers.PACKAGES, "wandb", ())
    with (
        contextlib.nullcontext() if finished else pytest.raises(Killed),
        trackers.opened(tiny.machine(tmp_path, logger=("wandb",)), "net-0", "net", {}),
    ):
        finished or dies()
    assert kept.finished == finished


def test_a_recipe_is_flat_where_a_tracker_knows_no_other():
    recipe = {"arch": "tsn", "train": {"optim": {"lr": 0.1}, "sides": [32, 40]}}
    assert dict(trackers.flat(recipe)) == {"arch": "tsn", "train.optim.lr": "0.1", "train.sides": "[32, 40]"}


def trained(tmp_path, monkeypatch, logger: str) -> tuple[list[dict[str, float]], str]:
    """The epochs of a training that was killed in its second and has gone on, and the name of its run."""
    original = TrainStep.__call__
    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "__call__", lambda s, p, lr, n, q: dies() if n == 3 else original(s, p, lr, n, q))
        with pytest.raises(Killed):
            tiny.fit(tmp_path, "net", save_seconds=0, logger=logger)
    (folder,) = (tmp_path / "net-work/train").glob("net-*")
    _, state = tiny.fit(tmp_path, "net", save_seconds=0, logger=logger)
    assert len(state.history) == 3
    return [row | speed for row, speed in zip(state.history, state.speeds, strict=True)], folder.name


def dies() -> None:
    raise Killed


@pytest.mark.nightly
def test_tensorboard_reads_every_epoch_once(tmp_path, monkeypatch):
    trackers.require("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows, run = trained(tmp_path, monkeypatch, "tensorboard")
    read = EventAccumulator(str(tmp_path / "net-work/logs/tensorboard" / run))
    read.Reload()
    assert set(read.Tags()["scalars"]) == set(rows[0])
    for name in rows[0]:
        events = read.Scalars(name)
        assert [event.step for event in events] == [1, 2, 3]
        assert [event.value for event in events] == pytest.approx([row[name] for row in rows])


@pytest.mark.nightly
def test_mlflow_has_one_run_with_every_epoch_and_the_recipe(tmp_path, monkeypatch):
    trackers.require("mlflow")
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rows, name = trained(tmp_path, monkeypatch, "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/net-work/logs/mlflow.db")
    (run,) = client.search_runs(["0"])
    assert (run.info.run_name, run.info.status, run.data.tags["training"]) == ("net", "FINISHED", name)
    assert (run.data.params["arch"], run.data.params["train.optim.lr"]) == ("tsn", "0.05")
    for figure in rows[0]:
        history = sorted(client.get_metric_history(run.info.run_id, figure), key=lambda one: one.step)
        assert [(one.step, one.value) for one in history] == list(enumerate((row[figure] for row in rows), start=1))


@pytest.mark.nightly
def test_the_files_of_wandb_hold_every_epoch_under_one_run(tmp_path, monkeypatch):
    trackers.require("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logging.getLogger("wandb").setLevel(logging.ERROR)
    rows, name = trained(tmp_path, monkeypatch, "wandb")
    files = sorted((tmp_path / "net-work/logs/wandb").glob("offline-run-*/*.wandb"))
    assert [file.name for file in files] == [f"run-{name}.wandb"] * 2, "of the first part, and of the whole"
    config, history = wandb_file(files[-1])
    assert config["arch"] == "tsn"
    assert [row.pop("_step") for row in history] == [1, 2, 3]
    assert [{name: row[name] for name in rows[0]} for row in history] == [pytest.approx(row) for row in rows]


def wandb_file(file) -> tuple[dict, list[dict]]:
    """The settings and the steps of a run's file, by the package's own messages; it reads the file in Go alone."""
    from wandb.proto.wandb_internal_pb2 import Record

    def plain(items) -> dict:
        return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}

    config, history = {}, []
    for message in leveldb_log(file.read_bytes()):
        record = Record()
        record.ParseFromString(message)
        if record.HasField("run"):
            config |= plain(record.run.config.update)
        if record.HasField("history"):
            history.append(plain(record.history.item))
    return config, history


def leveldb_log(data: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, in blocks of 32 KiB, after a head of 7 bytes."""
    block, head, whole, place = 2**15, 7, b"", 7
    while place + head <= len(data):
        if block - place % block < head:
            place += block - place % block
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        whole += data[place + head : place + head + length]
        place += head + length
        if kind in (1, 4):  # whole, or the last part of one
            yield whole
            whole = b""
