"""A misspelt override is named with the one that was meant."""

from pathlib import Path

import pytest

from pipeline.cli.overrides import mistakes

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("override", "name", "meant"),
    [
        ("model=tin_r10", "model=tin_r10", "tin_r101"),
        ("model=[tsn_demo,tsm_dem]", "model=tsm_dem", "tsm_demo"),
        ("dataset=floder", "dataset=floder", "folder"),
        ("datset=folder", "datset", "dataset"),
        ("extract.fsp=3", "extract.fsp", "extract.fps"),
        ("~extract.fsp", "extract.fsp", "extract.fps"),
        ("models.tin_demo.train.lr=0.1", "models.tin_demo.train.lr", "models.tin_demo.train.optim.lr"),
        ("models.tin_dmo.train.epochs=1", "models.tin_dmo.train.epochs", "models.tin_demo.train.epochs"),
    ],
)
def test_the_nearest_right_name_is_said(override, name, meant):
    (line,) = mistakes(CONF, [override])
    assert line.startswith(f"{name}: ")
    assert f"Did you mean '{meant}'?" in line


def test_settings_are_looked_for_in_the_chosen_set():
    chosen, setting = "model=tin_r101", "models.tin_demo.train.epochs=1"
    assert mistakes(CONF, [setting]) == []
    (line,) = mistakes(CONF, [chosen, setting])
    assert "Did you mean 'models.tin_r101.train.epochs'?" in line


def test_several_are_said_at_once():
    lines = mistakes(CONF, ["extract.fsp=3", "ensemble.fold=3", "extract.fps=3", "+extract.new=1"])
    assert [line.partition(":")[0] for line in lines] == ["extract.fsp", "ensemble.fold"]


def test_right_overrides_are_no_mistakes():
    assert mistakes(CONF, ["model=[tsn_demo,tsm_demo]", "dataset=folder", "models.tsm_demo.train.epochs=1"]) == []
