"""Open sets: a file is a member, and nothing else makes one."""

import sys
from pathlib import Path

import pytest

import pipeline.losses
from pipeline.core import registry
from pipeline.core.errors import UserError

ROOT = Path(__file__).parents[2] / "pipeline"


@pytest.mark.parametrize("kind", ["models", "losses", "datasets", "pretrained/importers"])
def test_the_members_are_the_files(kind: str):
    files = {file.stem for file in (ROOT / kind).glob("[!_]*.py")}

    assert registry.names(kind) == sorted(files)
    assert files


def test_a_member_is_the_module_of_its_file():
    assert Path(str(registry.find("datasets", "folder").__file__)) == ROOT / "datasets" / "folder.py"


def test_an_unknown_name_is_refused_with_the_file_that_it_would_be_and_a_guess():
    with pytest.raises(UserError, match=r"pipeline/models/slowfats\.py does not exist. Did you mean 'slowfast'\?"):
        registry.find("models", "slowfats")


def test_a_name_like_no_other_gets_no_guess_but_the_list():
    with pytest.raises(UserError) as error:
        registry.find("datasets", "zzz")

    assert "Did you mean" not in str(error.value)
    assert f"There are: {', '.join(registry.names('datasets'))}." in str(error.value)


@pytest.mark.parametrize("name", ["", "../records", ".folder", "__init__"])
def test_a_name_that_is_no_member_is_never_imported(name: str):
    with pytest.raises(UserError):
        registry.find("datasets", name)


def test_one_more_file_is_one_more_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "brand_new_loss.py").write_text("ANSWER = 42\n")
    monkeypatch.setattr(pipeline.losses, "__path__", [*pipeline.losses.__path__, str(tmp_path)])

    try:
        assert "brand_new_loss" in registry.names("losses")
        assert registry.find("losses", "brand_new_loss").ANSWER == 42
    finally:
        sys.modules.pop("pipeline.losses.brand_new_loss", None)
        vars(pipeline.losses).pop("brand_new_loss", None)
