"""What every file of conf/dataset must hold to."""

from pathlib import Path

import pytest
import yaml

from pipeline.check import SECTIONS
from pipeline.cli import compose
from pipeline.clips import flips
from pipeline.core import params, registry
from pipeline.core.manifest import DatasetConfig

CONF = Path(__file__).parents[2] / "conf"
CORPORA = sorted(file.stem for file in (CONF / "dataset").glob("*.yaml"))


@pytest.mark.parametrize("name", CORPORA)
def test_its_settings_are_right_and_its_reader_exists(name: str):
    settings = yaml.safe_load(compose.text(CONF, [f"dataset={name}", "model=small"]))
    config = params.build(DatasetConfig, settings["dataset"], "dataset")
    assert config.format in registry.names("datasets")
    assert flips.rule(config.flip)[0]
    for section in ("extract", "ensemble"):
        params.build(SECTIONS[section], settings[section], section)


@pytest.mark.parametrize("name", sorted(set(CORPORA) - {"demo", "folder", "lists"}))
def test_a_published_corpus_states_its_task_and_has_a_reader_of_its_name(name: str):
    text = yaml.safe_load((CONF / "dataset" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert text["dataset"]["format"] == name
    assert text["dataset"]["task"] in ("single_label", "multi_label")
