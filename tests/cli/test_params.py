"""A wrong setting is found when conf/ is composed, and params.yaml stays as it was."""

from pathlib import Path

import pytest
import yaml

from pipeline.cli import compose, params
from pipeline.core.errors import UserError
from tests.support.command import call

CONF = Path(__file__).parents[2] / "conf"


def compose_params(monkeypatch, folder: Path, *overrides: str) -> None:
    monkeypatch.chdir(folder)
    if not (folder / "conf").exists():
        (folder / "conf").symlink_to(CONF)
    call("params", *overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ensemble.weights=unifrm", "ensemble.weights must be one of 'best'"),
        ("ensemble.members=[prior]", "ensemble: the model 'prior' needs another name"),
        ("extract.fps=-3", "extract: fps and shards must be at least 1"),
        ("machine.precision=fp8", "machine.precision must be one of"),
        ("infer.together=perhaps", "infer.together must be of type bool"),
        ("dataset.format=foldr", "foldr"),
        ("models.tin_demo.train.optim.lr=abc", "models.tin_demo.train.optim.lr must be of type float, not 'abc'"),
        ("models.tin_demo.train.loss.name=bcee", "bcee"),
        ("models.tin_demo.test.clips=0", "models.tin_demo.test"),
        ("+models.tin_demo.options.frame=8", "option 'frame'. Did you mean 'frames'"),
        ("models.tin_demo.options.backbone=resnet5", "resnet5"),
        ("models.tin_demo.options.frame=8", "conf/ does not compose"),
    ],
)
def test_a_wrong_setting_of_any_section_is_refused_and_nothing_is_written(tmp_path, monkeypatch, override, message):
    (tmp_path / "params.yaml").write_text("as it was")
    with pytest.raises(UserError) as refused:
        compose_params(monkeypatch, tmp_path, override)
    assert message in str(refused.value)
    assert (tmp_path / "params.yaml").read_text() == "as it was"


def test_what_passes_is_written_as_dvc_composes_it(tmp_path, monkeypatch):
    compose_params(monkeypatch, tmp_path, "model=tsm_demo", "dataset=folder")
    assert (tmp_path / "params.yaml").read_text() == compose.text(CONF, ["model=tsm_demo", "dataset=folder"])


def test_every_section_of_the_params_is_checked():
    """But for the models, which are built, what the demo alone reads, and `unset`, a file name for DVC."""
    assert set(yaml.safe_load(compose.text(CONF))) == {*params.sections(), "models", "demo", "size", "unset"}
