"""The ledger of broken videos is a table that people read."""

from pathlib import Path

import pytest

from pipeline import ledger
from pipeline.errors import BadInput
from pipeline.ledger import BrokenVideo


def test_a_line_says_who_is_broken_and_why(tmp_path: Path):
    ledger.write(tmp_path / "broken.tsv", [BrokenVideo("grün.mp4", "val", "grün.mp4", "empty", 'it has "0" bytes')])

    assert (tmp_path / "broken.tsv").read_text(encoding="utf-8").splitlines() == [
        "video\tsplit\tpath\treason\twords",
        'grün.mp4\tval\tgrün.mp4\tempty\tit has "0" bytes',
    ]


def test_the_ledger_comes_back_as_it_was_written(tmp_path: Path):
    broken = [
        BrokenVideo("b.mp4", "train", "b.mp4", "truncated", 'moov atom not found | "x" \\ ü'),
        BrokenVideo("a.mp4", "test", "a.mp4", "missing", ""),
    ]
    ledger.write(tmp_path / "broken.tsv", broken)

    assert ledger.read(tmp_path / "broken.tsv") == broken


def test_a_ledger_without_a_broken_video_is_a_header(tmp_path: Path):
    ledger.write(tmp_path / "broken.tsv", [])

    assert (tmp_path / "broken.tsv").read_text() == "video\tsplit\tpath\treason\twords\n"
    assert ledger.read(tmp_path / "broken.tsv") == []


def test_a_missing_ledger_names_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(BadInput, match="dvc repro extract"):
        ledger.read(tmp_path / "broken.tsv")
