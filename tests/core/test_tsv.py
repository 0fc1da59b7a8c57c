"""Tab-separated tables: what is written can be read by eye and comes back; what is damaged is refused."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import tsv
from pipeline.core.errors import UserError


def test_a_table_is_a_line_of_names_and_a_line_a_row(tmp_path: Path):
    tsv.write(tmp_path / "t.tsv", pd.DataFrame({"video": ["a b", "ü"], "frames": [30, 3]}))

    assert (tmp_path / "t.tsv").read_bytes() == "video\tframes\na b\t30\nü\t3\n".encode()


@pytest.mark.parametrize(
    "cell",
    ["", " ", "a b", " outer ", "NA", "null", "nan", "1e5", "007", '"', '"a"', 'a"b', "'", "\\", "#", "ü 视", ","],
)
def test_any_cell_comes_back_as_the_text_that_it_was(tmp_path: Path, cell: str):
    table = pd.DataFrame({"first": [cell, "x"], "second": ["y", cell]})
    tsv.write(tmp_path / "t.tsv", table)

    back = tsv.read(tmp_path / "t.tsv", ["first", "second"], stage="index")
    assert back.to_dict("list") == {"first": [cell, "x"], "second": ["y", cell]}


def test_numbers_come_back_as_numbers_where_asked_for(tmp_path: Path):
    tsv.write(tmp_path / "t.tsv", pd.DataFrame({"video": ["1"], "frames": [30]}))

    back = tsv.read(tmp_path / "t.tsv", ["video", "frames"], stage="extract", numbers=["frames"])
    assert back.to_dict("records") == [{"video": "1", "frames": 30}]


def test_an_empty_table_comes_back_with_its_columns(tmp_path: Path):
    tsv.write(tmp_path / "t.tsv", pd.DataFrame(columns=["a", "b"]))

    back = tsv.read(tmp_path / "t.tsv", ["a", "b"], stage="index")
    assert list(back.columns) == ["a", "b"]
    assert len(back) == 0


def test_a_tab_inside_a_cell_is_an_error_and_leaves_the_old_file(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("old")

    with pytest.raises(csv.Error):
        tsv.write(tmp_path / "t.tsv", pd.DataFrame({"a": ["x\ty"]}))
    assert (tmp_path / "t.tsv").read_text() == "old"


def test_a_missing_file_is_named_with_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"t\.tsv does not exist. `dvc repro index`"):
        tsv.read(tmp_path / "t.tsv", ["a"], stage="index")


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a\tc\nx\t1\n", id="another name"),
        pytest.param(b"b\ta\n1\tx\n", id="another order"),
        pytest.param(b"a\nx\n", id="a column less"),
        pytest.param(b"a\tb\nx\tone\n", id="a word for a number"),
        pytest.param(b"a\tb\nx\t\n", id="no number"),
        pytest.param(b"a\tb\nx\t1\ny\n", id="a cell less"),
        pytest.param(b"a\tb\nx\t1\ny\t2\t3\n", id="a cell more"),
        pytest.param(b"a\tb\nx\ty\t1\n", id="a cell more in all rows"),
        pytest.param(b"a\tb\nx\t1\ny\t2", id="cut off in the last number"),
        pytest.param(b"a\tb\n\xfc\t1\n", id="not UTF-8"),
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, damaged: bytes):
    (tmp_path / "t.tsv").write_bytes(damaged)

    with pytest.raises(UserError, match=r"t\.tsv.*extract` makes it again"):
        tsv.read(tmp_path / "t.tsv", ["a", "b"], stage="extract", numbers=["b"])


def test_a_cut_cell_of_text_is_refused(tmp_path: Path):
    (tmp_path / "t.tsv").write_bytes(b"a\tb\nx\tone\ny\n")

    with pytest.raises(UserError, match=r"t\.tsv"):
        tsv.read(tmp_path / "t.tsv", ["a", "b"], stage="extract")


def test_text_of_many_lines_becomes_one():
    assert tsv.one_line("  first\tline \n\n\r\nsecond   line\n") == "first line | second line"
