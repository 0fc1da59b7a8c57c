"""Trained models of random weights, as the stages leave them, and the settings of their project."""

from pathlib import Path

import pytest
import yaml

from pipeline.runtime.checkpoint import Checkpoint
from tests.support import inference, tiny

TESTS = {
    "net": {"clips": 2, "sides": [32, 36], "crop": 32},
    "other": {"clips": 3, "sides": [48], "crop": None},
}
"""The clips of `net` have one size, those of `other` two: 40 (the centre view) and 48 pixels."""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project with the models `net` and `other`; the test runs in it."""
    for seed, name in enumerate(TESTS):
        inference.write_model(tmp_path / "data/models" / name, seed)
    other = Checkpoint.read(tmp_path / "data/models/other")
    other.recipe["clip"] |= {"side": 40, "crop": 40}
    other.write(tmp_path / "data/models/other")
    params = {
        "extract": {"fps": 30, "short_side": 48, "jpeg_qscale": 2, "timeout_seconds": 60, "shards": 1},
        "pack": {"short_sides": [48, 32]},
        "machine": vars(tiny.machine(tmp_path / "work")),
        "models": {name: {"test": test} for name, test in TESTS.items()},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    return tmp_path
