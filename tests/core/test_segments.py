"""Segments: which frames one holds, how its times are written and read, and what no segment is."""

import math
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from pipeline.core.segments import Segment, seconds


def test_a_segment_holds_the_frames_whose_times_lie_in_it():
    for tenths in range(0, 60, 7):
        for length in (1, 3, 10, 33):
            start, end = Fraction(tenths, 10), Fraction(tenths + length, 10)
            first, beyond = Segment(tenths / 10, (tenths + length) / 10).frames(30)

            assert list(range(first, int(beyond))) == [k for k in range(300) if start <= Fraction(k, 30) < end]


def test_a_segment_without_end_goes_on():
    assert Segment(1.5).frames(30) == (45, math.inf)


@pytest.mark.parametrize(
    ("segment", "suffix"),
    [
        (Segment(12.5, 20), "#12.5-20"),
        (Segment(end=0.1), "#0-0.1"),
        (Segment(7), "#7-"),
        (Segment(36000.125, 36001), "#36000.125-36001"),
    ],
)
def test_the_id_of_a_segment_ends_with_its_times(segment: Segment, suffix: str):
    assert segment.suffix == suffix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", 12.5),
        (" 0 ", 0.0),
        ("01:02:03.250", 3723.25),
        ("1:02.5", 62.5),
        ("100:00:01", 360001.0),
        ("", None),
        (" ", None),
    ],
)
def test_times_are_seconds_or_a_clock(text: str, expected: float | None):
    assert seconds(text, "x.csv, line 2") == expected


@pytest.mark.parametrize("text", ["nan", "inf", "1,5", "1:2:3:4", "00:61", "75:00", "ten", "0x1", "12s", "1e308"])
def test_what_is_no_time_is_refused_with_its_place(text: str):
    with pytest.raises(UserError, match=r"^x.csv, line 2: .* is no time. Write seconds"):
        seconds(text, "x.csv, line 2")


@pytest.mark.parametrize("digits", [309, 5000])
def test_a_clock_of_hours_that_no_float_holds_is_refused(digits: int):
    with pytest.raises(UserError, match=r"^x.csv, line 2: .* is no time"):
        seconds(f"{'9' * digits}:00:00", "x.csv, line 2")


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1.0, 2.0, "the start -1 s is no time"),
        (math.inf, None, "the start inf s is no time"),
        (2.0, 2.0, "the end 2 s does not come after the start 2 s"),
        (3.0, 2.0, "the end 2 s does not come after the start 3 s"),
        (None, 0.0, "the end 0 s does not come after the start 0 s"),
        (1.0, math.nan, "the end nan s does not come"),
    ],
)
def test_what_is_no_span_is_refused_with_its_place(start: float | None, end: float | None, message: str):
    with pytest.raises(UserError, match=f"^x.csv, line 2: {message}"):
        Segment.between(start, end, "x.csv, line 2")


def rows(*times: tuple[float | None, float | None]) -> list[VideoRecord]:
    whole = [VideoRecord(f"{split}.mp4", split, f"{split}.mp4", "run", "1-a") for split in SPLITS]
    return [*whole, *(VideoRecord(f"{n}", "train", "long.mp4", "run", "1-a", *pair) for n, pair in enumerate(times))]


def test_segments_come_back_from_the_manifest_s_files_to_the_bit(tmp_path: Path):
    times = [(0.1, 0.7), (1 / 3, 36000.123456789), (None, 2.5), (11.9, None)]
    written = Manifest.from_records(rows(*times), ["run"])
    written.write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    read = Manifest.read(tmp_path / "manifest.tsv", tmp_path / "classes.txt")

    assert read.table.equals(written.table)
    found = [Segment.of(row) for row in read.table.to_dict("records")]
    assert found[:3] == [None, None, None]
    assert found[3:] == [Segment(start or 0, math.inf if end is None else end) for start, end in times]
    assert (tmp_path / "manifest.tsv").read_text().splitlines()[4] == "0\ttrain\tlong.mp4\trun\t1-a\t0.1\t0.7"


def test_a_manifest_without_segments_has_no_columns_of_them(tmp_path: Path):
    Manifest.from_records(rows(), ["run"]).write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")

    assert (tmp_path / "manifest.tsv").read_text().splitlines()[0] == "video\tsplit\tpath\tlabels\tfingerprint"


@pytest.mark.parametrize("times", [("2.0", "1.0"), ("-1.0", "1.0"), ("soon", ""), ("", "0"), ("inf", "")])
def test_a_manifest_with_no_lawful_segment_is_refused_with_its_line(tmp_path: Path, times: tuple[str, str]):
    Manifest.from_records(rows((1.0, 2.0), (3.0, 4.0)), ["run"]).write(tmp_path / "m.tsv", tmp_path / "classes.txt")
    text = (tmp_path / "m.tsv").read_text()
    (tmp_path / "m.tsv").write_text(text.replace("3.0\t4.0", "\t".join(times)))

    with pytest.raises(UserError, match=r"m\.tsv, line 6: 1: .* is no span of a file"):
        Manifest.read(tmp_path / "m.tsv", tmp_path / "classes.txt")
