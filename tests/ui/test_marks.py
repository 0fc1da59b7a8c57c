import csv
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.core.errors import UserError
from pipeline.ui.marks import Marks, text


def test_a_mark_is_a_row_and_a_second_one_of_the_same_label_takes_its_place(tmp_path):
    marks = Marks(tmp_path / "new" / "marks.csv")
    marks.add("a,b.mp4", 'say "x"', "wrong", "first")
    marks.add("a,b.mp4", "other", "missing", "")
    marks.add("a,b.mp4", 'say "x"', "wrong", "second, better")
    with marks.file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["video"], r["label"], r["mark"], r["comment"]) for r in rows] == [
        ("a,b.mp4", "other", "missing", ""),
        ("a,b.mp4", 'say "x"', "wrong", "second, better"),
    ]
    assert all(len(row["when"]) == len("2026-01-31T12:00:00Z") for row in rows)
    assert text(marks.read()) == marks.file.read_text(encoding="utf-8")
    marks.remove("a,b.mp4", "other")
    assert [mark.label for mark in marks.read()] == ['say "x"']


def test_what_was_written_by_hand_is_kept(tmp_path):
    marks = Marks(tmp_path / "marks.csv")
    marks.add("a", "x", "wrong", "")
    with marks.file.open("a") as file:
        file.write("b,y,missing,by hand,2026-01-01T00:00:00Z\n")
    marks.add("c", "z", "wrong", "")
    assert [mark.video for mark in marks.read()] == ["a", "b", "c"]


def test_marks_that_come_at_once_are_all_kept(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: Marks(tmp_path / "marks.csv").add(f"v{n}", "x", "wrong", ""), range(4)))
    assert sorted(mark.video for mark in Marks(tmp_path / "marks.csv").read()) == ["v0", "v1", "v2", "v3"]
    assert [path.name for path in tmp_path.iterdir()] == ["marks.csv"]


@pytest.mark.parametrize(
    ("comment", "said"),
    [('=HYPERLINK("http://x")', "is a formula"), ("two\nlines", "is one line"), ("x" * 501, "at most 500")],
)
def test_a_comment_that_harms_a_table_is_refused(tmp_path, comment, said):
    with pytest.raises(UserError, match=said):
        Marks(tmp_path / "marks.csv").add("a", "x", "wrong", comment)
    assert not (tmp_path / "marks.csv").exists()


@pytest.mark.parametrize("content", [b"video,label\na,b\n", b"", b"\xff\xfe", b"video,label,mark,comment,when\na,b\n"])
def test_another_table_is_refused_and_left_as_it_is(tmp_path, content):
    (tmp_path / "marks.csv").write_bytes(content)
    with pytest.raises(UserError, match="is no table of marks"):
        Marks(tmp_path / "marks.csv").add("a", "x", "wrong", "")
    assert (tmp_path / "marks.csv").read_bytes() == content
