"""The ledger of broken videos is a table that people read."""

from pathlib import Path

import pytest

from pipeline.core.broken_videos import BrokenVideo, read_broken, write_broken
from pipeline.core.errors import UserError


def test_a_line_says_who_is_broken_and_why(tmp_path: Path):
    write_broken(tmp_path / "broken.tsv", [BrokenVideo("grün.mp4", "val", "grün.mp4", "empty", 'it has "0" bytes')])

    assert (tmp_path / "broken.tsv").read_text(encoding="utf-8").splitlines() == [
        "video\tsplit\tpath\treason\twords",
        'grün.mp4\tval\tgrün.mp4\tempty\tit has "0" bytes',
    ]


def test_the_ledger_comes_back_as_it_was_written(tmp_path: Path):
    broken = [
        BrokenVideo("b.mp4", "train", "b.mp4", "truncated", 'moov atom not found | "x" \\ ü'),
        BrokenVideo("a.mp4", "test", "a.mp4", "missing", ""),
    ]
    write_broken(tmp_path / "broken.tsv", broken)

    assert read_broken(tmp_path / "broken.tsv") == broken


def test_a_ledger_without_a_broken_video_is_a_header(tmp_path: Path):
    write_broken(tmp_path / "broken.tsv", [])

    assert (tmp_path / "broken.tsv").read_text() == "video\tsplit\tpath\treason\twords\n"
    assert read_broken(tmp_path / "broken.tsv") == []


def test_a_missing_ledger_names_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(UserError, match="dvc repro extract"):
        read_broken(tmp_path / "broken.tsv")
