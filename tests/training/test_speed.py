"""The speed of trainings: what an epoch took, and the file that holds all of them."""

import pandas as pd
import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.runtime.progress import Timer
from pipeline.training import speed
from pipeline.training.speed import SpeedLog

CPU = torch.device("cpu")


def timer(seconds: float, waited: float) -> Timer:
    made = Timer()
    made.end, made.waited = made.start + seconds, waited
    return made


def test_an_epoch_is_clips_a_second_and_the_share_of_waiting():
    found = speed.figures(timer(4.0, waited=1.0), clips=10, device=CPU)
    assert found == {"clips_per_second": pytest.approx(2.5), "data_wait_percent": pytest.approx(25.0)}


def test_an_epoch_of_which_no_step_was_left_says_nothing():
    assert speed.figures(timer(4.0, waited=1.0), clips=0, device=CPU) == {}


def test_trainings_share_a_file_and_each_replaces_its_own_rows(tmp_path):
    one, other, gone = (tmp_path / name for name in ("one", "other", "gone"))
    for folder in (one, other, gone):
        folder.mkdir()
        SpeedLog(tmp_path / "logs", folder).write([{"clips_per_second": 1.0}, {}])
    gone.rmdir()
    SpeedLog(tmp_path / "logs", one).write([{"clips_per_second": 3.0, "gpu_memory_gb": 2.5}])

    table = pd.read_csv(tmp_path / "logs" / speed.FILE)
    assert table["model"].tolist() == [*[str(other)] * 2, str(one)]
    assert table["epoch"].tolist() == [1, 2, 1]
    assert table["clips_per_second"].tolist() == pytest.approx([1.0, float("nan"), 3.0], nan_ok=True)
    assert table["gpu_memory_gb"].tolist() == pytest.approx([float("nan")] * 2 + [2.5], nan_ok=True)
    assert [file.name for file in (tmp_path / "logs").iterdir()] == [speed.FILE]


def test_the_summary_counts_the_epochs_and_the_waiting():
    said = speed.summary([timer(3.0, 1.0), timer(1.0, 0.0)], clips=8, resumed=True)
    assert said == "trained 2 epochs in this run: 4 s without validation, 2.0 clips/s, 25% of the time waiting for data"


@pytest.mark.parametrize("content", [b"", b"my notes\n", b"model,epoch\n\xff", b'model,epoch\n"a'])
def test_a_file_of_something_else_is_named_with_the_way_out(tmp_path, content):
    (tmp_path / speed.FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"speed\.csv is no table of speeds .* `rm .*speed\.csv`"):
        SpeedLog(tmp_path, tmp_path / "one").write([{"clips_per_second": 1.0}])
    assert (tmp_path / speed.FILE).read_bytes() == content
