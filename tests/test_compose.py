"""conf/ composes, params.yaml is its composition, and every model and set plans."""

import logging
from pathlib import Path

import project
import pytest
import yaml

from pipeline import compose, params
from pipeline.ensemble import EnsembleConfig
from pipeline.frames import ExtractConfig
from pipeline.machine import Machine
from pipeline.records import DatasetConfig
from pipeline.training import ModelConfig
from pipeline.views import ViewConfig

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
CHOICES = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))
SETS = {name for name in CHOICES if "_global_" in (CONF / "model" / f"{name}.yaml").read_text().splitlines()[0]}
DATASETS = sorted(file.stem for file in (CONF / "dataset").glob("*.yaml"))


def composed(*overrides: str) -> dict:
    return yaml.safe_load(compose.text(CONF, overrides))


def test_the_committed_params_are_conf_composed():
    assert (ROOT / "params.yaml").read_text() == compose.text(CONF), "run `make params` and commit params.yaml"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("choice", CHOICES)
def test_every_model_on_every_corpus_is_a_valid_config_that_builds(choice, dataset):
    whole = composed(f"model={choice}", f"dataset={dataset}")
    assert set(whole["models"]) == {choice} or choice in SETS
    for name, section in whole["models"].items():
        params.build(ViewConfig, section.pop("test"), where=name)
        config = params.build(ModelConfig, section, where=name)
        asked = config.options.get("frames")
        assert asked in (None, config.clip.sampler.frames), f"{name}: the network and the sampler differ in frames"
        if choice not in SETS:
            import torch

            with torch.device("meta"):
                config.build(classes=313)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_section_is_read_strictly(dataset):
    whole = composed(f"dataset={dataset}")
    kinds = {"dataset": DatasetConfig, "extract": ExtractConfig, "machine": Machine, "ensemble": EnsembleConfig}
    for section, kind in kinds.items():
        params.build(kind, whole[section], where=section)


def test_the_members_of_the_ensemble_are_the_models_of_the_set():
    assert composed("model=tin_r101")["ensemble"]["members"] == ["tin_r101"]
    everyone = composed("model=report")
    assert everyone["ensemble"]["members"] == list(everyone["models"])


def test_the_demo_corpus_is_generated_and_a_real_one_is_not():
    assert composed("dataset=demo")["dataset"]["generated"] == ["demo"]
    assert composed("dataset=folder")["dataset"]["generated"] == []


def test_a_full_size_model_takes_the_size_of_the_corpus():
    assert composed("dataset=folder", "model=tin_r101")["models"]["tin_r101"]["train"]["augment"]["crop"] == 224
    assert composed("dataset=demo", "model=tin_r101")["models"]["tin_r101"]["train"]["augment"]["crop"] == 40


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = project.copy(tmp_path_factory.mktemp("plan") / "project")
    (folder / "videos").mkdir()
    (folder / "videos" / "labels.csv").write_text("path,labels\na.mp4,x\n")
    return folder


@pytest.mark.parametrize("choice", CHOICES)
def test_every_model_plans(workspace, choice):
    """One train and one infer stage a model, then the ensemble.

    `--force`, because a dry run of DVC 3.67 hashes the outs of stages that never ran while it asks the run cache.
    """
    project.write_params(workspace, f"model={choice}", "dataset=folder")
    done = project.dvc(workspace, "repro", "--dry", "--force")
    models = composed(f"model={choice}")["models"]
    for name in models:
        assert f"stages.train {name} " in done.stdout
        assert f"stages.infer {name} " in done.stdout
    assert done.stdout.count("stages.train") == len(models)
    assert "stages.ensemble" in done.stdout
    assert "stages.demo" not in done.stdout


def test_a_stage_says_what_params_override(tmp_path, caplog):
    file = tmp_path / "params.yaml"
    file.write_text(compose.text(CONF, ["models.tin_demo.train.optim.lr=0.25"]))
    with caplog.at_level(logging.INFO):
        compose.announce(file, CONF)
    assert "models.tin_demo.train.optim.lr=0.25" in caplog.text
    assert len(caplog.records) == 1


def test_a_stage_says_nothing_when_params_are_conf_composed(tmp_path, caplog):
    file = tmp_path / "params.yaml"
    file.write_text(compose.text(CONF))
    with caplog.at_level(logging.INFO):
        compose.announce(file, CONF)
    assert not caplog.records
