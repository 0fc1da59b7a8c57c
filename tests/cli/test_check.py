"""`pipeline check` says what is wrong with params.yaml as it is."""

import argparse
from pathlib import Path

import pytest

from pipeline.cli import check
from pipeline.core import groups
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord

ROOT = Path(__file__).parents[2]


def run(monkeypatch, folder: Path, text: str) -> None:
    (folder / "params.yaml").write_text(text)
    (folder / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(folder)
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    check.run(parser.parse_args([]))


def test_right_settings_pass(tmp_path, monkeypatch, capsys):
    run(monkeypatch, tmp_path, (ROOT / "params.yaml").read_text())
    assert capsys.readouterr().out == "every setting is right\n"


def test_what_conf_has_otherwise_is_said(tmp_path, monkeypatch, caplog):
    run(monkeypatch, tmp_path, (ROOT / "params.yaml").read_text().replace("jpeg_qscale: 2", "jpeg_qscale: 3"))
    assert caplog.messages == [
        "params.yaml differs from conf/ as it stands in 1 of its settings: extract.jpeg_qscale=3"
    ]


def test_a_wrong_setting_is_named(tmp_path, monkeypatch):
    text = (ROOT / "params.yaml").read_text().replace("jpeg_qscale: 2", "jpeg_qscale: 99")
    with pytest.raises(UserError, match="extract: jpeg_qscale must lie in 2"):
        run(monkeypatch, tmp_path, text)


def test_where_the_videos_are_listed_they_are_checked_too(tmp_path, monkeypatch, capsys):
    names = ["train", "val", "test"]
    manifest = Manifest.from_records([VideoRecord(name, name, name, "run", "1-a") for name in names], ["run"])
    manifest.write(tmp_path / "data/manifest.tsv", tmp_path / "data/classes.txt")
    groups.write(tmp_path / "data/groups.tsv", {})
    with pytest.raises(UserError, match="ensemble.folds: 1 val video cannot be cut into 5 folds"):
        run(monkeypatch, tmp_path, (ROOT / "params.yaml").read_text())
    assert capsys.readouterr().out == ""
