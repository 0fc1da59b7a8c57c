"""A line an epoch that can be read and found, and the curves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.logger import epoch_line
from tests.support import tiny

SCRIPT = Path(__file__).parents[1] / "support" / "train_tiny.py"


def row(loss: float, score: float, lr: float = 0.004) -> dict[str, float]:
    return {"loss": loss, "val_mAP": score, "lr": lr}


def test_an_epoch_is_told_beside_the_best_so_far():
    history = [row(20.0, 60.0), row(14.5, 71.94), row(12.3104, 71.2)]
    assert epoch_line(history, 20) == "epoch 3/20  loss 12.310  mAP 71.2 (best 71.9, epoch 2)  lr 0.004"


def test_of_equal_epochs_the_first_is_the_best_and_none_may_be_finite():
    assert "(best 70.0, epoch 1)" in epoch_line([row(1.0, 70.0), row(1.0, 70.0)], 2)
    assert "mAP -inf (best -inf, epoch 1)" in epoch_line([row(1.0, float("-inf"))], 2)


def test_a_figure_of_train_videos_stands_beside_that_of_val():
    assert "mAP 60.0 (best 60.0, epoch 1; train 93.1)" in epoch_line([row(1.0, 60.0) | {"train_mAP": 93.08}], 2)


def test_an_epoch_without_validation_is_told_by_its_loss():
    assert epoch_line([{"loss": 2.0, "lr": 0.004}], 20) == "epoch 1/20  loss 2.000  lr 0.004"


@pytest.mark.slow
def test_a_log_file_holds_every_epoch_and_no_control_character(tmp_path):
    tiny.corpus(tmp_path / "lmdb")
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, str(SCRIPT), str(tmp_path), "net", "{}"], stderr=log, stdout=log, check=True)
    text = (tmp_path / "log").read_text()
    figures = r"loss [\d.]+  mAP [\d.]+ \(best [\d.]+, epoch \d; train [\d.]+\)  lr \S+"
    pattern = rf"^net  epoch (\d)/3  {figures}  \d+ s(?:, \d+ s (left))?$"
    assert re.findall(pattern, text, re.MULTILINE) == [("1", "left"), ("2", "left"), ("3", "")]
    assert text.replace("\n", "").isprintable()
    assert all(line.strip() for line in text.splitlines())


def test_the_line_names_top_1_where_each_video_has_one_label():
    rows = [(40.0, 1.5), (60.0, 1.2), (60.0, 1.1)]
    history = [{"loss": 2.0, "val_top1": top1, "val_cross_entropy": loss, "lr": 0.01} for top1, loss in rows]
    assert "top-1 60.0 (best 60.0, epoch 3)  lr" in epoch_line(history, 5, "single_label")
