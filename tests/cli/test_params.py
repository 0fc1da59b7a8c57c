"""A wrong setting is found when conf/ is composed, and params.yaml stays as it was."""

import argparse
from pathlib import Path

import pytest

from pipeline.cli import compose, params
from pipeline.core.errors import UserError

CONF = Path(__file__).parents[2] / "conf"


def run(monkeypatch, folder: Path, *arguments: str) -> None:
    monkeypatch.chdir(folder)
    if not (folder / "conf").exists():
        (folder / "conf").symlink_to(CONF)
    parser = argparse.ArgumentParser()
    params.add_arguments(parser)
    params.run(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ensemble.members=[tin_dem]", "ensemble.members: 'tin_dem' is no model"),
        ("models.tin_demo.train.loss.options.bce.scale=-1", "models.tin_demo.train.loss.options.bce: scale must be"),
        ("models.tin_demo.train.optim.name=sdg", "models.tin_demo.train.optim.name: timm has no optimiser 'sdg'"),
        ("dataset.root=/nowhere", "dataset.root: there is no folder /nowhere"),
        ("dataset=folder", "dataset.annotations: there is no file videos/labels.csv"),
        ("+extract.fsp=3", "extract.fsp: there is no such setting. Did you mean 'fps'?"),
        ("model=tsn_demo,tin_demo", "several are written as a list, e.g. 'model=[tsn_demo,tin_demo]'"),
        ("model=null", "conf/ does not compose"),
        ("model=tin_r10", "model=tin_r10: there is no conf/model/tin_r10.yaml. Did you mean 'tin_r101'?"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_written(tmp_path, monkeypatch, override, message):
    (tmp_path / "params.yaml").write_text("as it was")
    with pytest.raises(UserError) as error:
        run(monkeypatch, tmp_path, override)
    assert message in str(error.value)
    assert (tmp_path / "params.yaml").read_text() == "as it was"


def test_what_passes_is_written_as_dvc_composes_it(tmp_path, monkeypatch, capsys):
    run(monkeypatch, tmp_path, "model=tsm_demo", "dataset.split_seed=5")
    assert (tmp_path / "params.yaml").read_text() == compose.text(CONF, ["model=tsm_demo", "dataset.split_seed=5"])
    said = capsys.readouterr().out
    assert said.startswith("params.yaml: written, every setting is right (corpus: data/demo/annotations.csv; models: ")


def test_an_imported_member_is_looked_for_where_the_data_lies(tmp_path, monkeypatch):
    (tmp_path / "elsewhere/predictions/theirs").mkdir(parents=True)
    override = "ensemble.members=[tin_demo,theirs]"
    with pytest.raises(UserError, match="'theirs' is no model"):
        run(monkeypatch, tmp_path, override)
    run(monkeypatch, tmp_path, override, "--data", "elsewhere")
    assert "- theirs" in (tmp_path / "params.yaml").read_text()


def test_what_hydra_cannot_parse_is_said_in_its_words(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"conf/ does not compose:\n  .*'\['"):
        run(monkeypatch, tmp_path, "a=[")
