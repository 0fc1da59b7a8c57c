"""Trained models of random weights, as the stages leave them, and the settings of their project."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from pipeline.core import files, params
from pipeline.predictions.table import PredictionTable
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.config import ModelConfig
from tests.support import inference, tiny, tiny_flow, tiny_sound
from tests.support.checks import settled

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
    settings = {
        "extract": {"fps": 30, "short_side": 48, "jpeg_qscale": 2, "timeout_seconds": 60, "shards": 1},
        "pack": {"short_sides": [48, 32]},
        "machine": vars(tiny.machine(tmp_path / "work")),
        "models": {name: {"test": test} for name, test in TESTS.items()},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hearing(project) -> Path:
    """The same with a model that hears, `ear`, of windows of 0.4 s."""
    clip = {"input": "sound", "seconds": tiny_sound.SECONDS}
    add_model(project, "ear", tiny_sound.model(), clip, {"sound": "s1", "labels": "l1"}, settled)
    change(project, models={"ear": {"test": {"clips": 2, "sides": [], "crop": None}}})
    return project


@pytest.fixture
def moving(project) -> Path:
    """The same with a model of flow, `way`: of its seed, answers depend much on the flow."""
    config, weights = tiny_flow.model(), partial(inference.draw, seed=5)
    add_model(project, "way", config, params.plain(config.clip), {"flow": "f1", "labels": "l1"}, weights)
    flow = params.plain(tiny_flow.CONFIG) | {"short_side": 40, "bound": 4.0}
    change(project, models={"way": {"test": TESTS["net"]}}, extract={"fps": 10}, flow=flow)
    return project


def add_model(
    project: Path,
    name: str,
    config: ModelConfig,
    clip: dict,
    data: dict[str, str],
    weigh: Callable[[nn.Module], object],
) -> None:
    """A checkpoint of the weights that `weigh` gives a network."""
    torch.manual_seed(0)
    network, spec = config.build(len(tiny.COLOURS))
    weigh(network)
    recipe = {"arch": config.arch, "options": config.options, "clip": clip, "data": data}
    Checkpoint(network.state_dict(), recipe, tuple(tiny.COLOURS), spec).write(project / "data/models" / name)


def change(project: Path, **sections: dict) -> None:
    """Change settings of some sections of params.yaml."""
    file = project / "params.yaml"
    settings = yaml.safe_load(file.read_text())
    for name, section in sections.items():
        settings[name] = settings.get(name, {}) | section
    file.write_text(yaml.safe_dump(settings))


@pytest.fixture
def differing(project) -> Path:
    """The same as `project`, and its model `net` looks at differences of frames."""
    config = tiny.model()
    clip = replace(config.clip, sampler=replace(config.clip.sampler, consecutive=6))
    config = replace(config, options=config.options | {"input": "rgb_difference"}, clip=clip)
    inference.write_model(project / "data/models/net", 0, config)
    return project


@pytest.fixture
def run_card(capsys, monkeypatch) -> Callable[[Path], str]:
    """Runs the code of the model card in an exported folder as a reader would, beside its files; what it prints."""

    def run(folder: Path) -> str:
        monkeypatch.chdir(folder)
        text = Path("README.md").read_text(encoding="utf-8")
        capsys.readouterr()
        exec(text.split("```python\n")[1].split("```")[0], {})  # noqa: S102 - what a reader would paste
        return str(capsys.readouterr().out)

    return run


def write_ensemble(project: Path, mean: str, members: dict[str, float]) -> None:
    """What stage `ensemble` leaves of these members and weights, as far as new videos need it."""
    sums = {name: files.file_hash(project / f"data/models/{name}/model.safetensors") for name in members}
    meta = {"model": "ensemble", "protocol": "dense", "checkpoints": sums}
    classes = tuple(tiny.COLOURS)
    scores = np.full((1, len(classes)), 0.5, np.float32)
    table = PredictionTable(("v",), np.array([False]), (classes[0],), classes, scores, meta)
    (project / "data/ensemble").mkdir()
    table.write(project / "data/ensemble/val.parquet")
    (project / "data/ensemble/weights.json").write_text(json.dumps({"mean": mean, "members": members}))
