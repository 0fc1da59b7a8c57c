"""A timeline: where the window stands, and how the answers are shown; tests/cli/test_predict.py has the scores."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli import timeline
from pipeline.cli.timeline import Place, windows
from pipeline.core.errors import UserError
from pipeline.core.segments import Segment
from pipeline.core.task import SINGLE_LABEL

CLASSES = ("run", "jump, <high>", "sit")
PLACES = [
    Place(Segment(0.0, 2.0), np.array([0.5, 0.25, 0.125], np.float32)),
    Place(Segment(1.0, 2.5), np.array([0.25, 1.0, 0.0], np.float32)),
]


@pytest.mark.parametrize(
    ("length", "stride"), [(2.0, 2.0), (2.0, 0.5), (0.7, 0.3), (1.0, 3.0), (99.0, 1.0), (0.1, 0.1)]
)
@pytest.mark.parametrize("frames", [1, 30, 61, 200])
def test_windows_are_those_of_a_loop_over_the_frames(frames: int, length: float, stride: float):
    found = windows(frames, 30, length, stride)

    for number, (segment, inside) in enumerate(found):
        start = number * stride
        within = [k for k in range(frames) if start - 1e-7 <= k / 30 < start + length - 1e-7]
        assert list(inside) == within
        assert segment.start == pytest.approx(start)
        assert segment.end == round(min(start + length, frames / 30), 6)
    assert [inside.stop == frames for _, inside in found[:-1]] == [False] * (len(found) - 1)
    if stride <= length:
        assert sorted({k for _, inside in found for k in inside}) == list(range(frames))


@pytest.mark.parametrize("lead", [1, 14, 15, 16, 45])
def test_a_picture_that_begins_late_has_its_places_on_the_clock_of_the_file(lead: int):
    frames, length, stride = 40, 0.5, 0.25
    found = windows(frames, 30, length, stride, lead)
    times = [(lead + k) / 30 for k in range(frames)]
    expected = []
    for number in range(20):
        start = number * stride
        within = [k for k, at in enumerate(times) if start - 1e-7 <= at < start + length - 1e-7]
        expected += [within] if within else []
        if within and within[-1] == frames - 1:
            break
    assert [list(inside) for _, inside in found] == expected
    assert found[0][0].end > lead / 30
    assert found[-1][0].end == round((lead + frames) / 30, 6)


def test_places_of_a_sound_begin_and_end_with_it():
    sound = np.zeros(16_000, np.int16)
    found = timeline.heard_windows(sound, 1.1, 0.5, 0.5)
    assert [segment for segment, _ in found] == [Segment(1.0, 1.5), Segment(1.5, 2.0), Segment(2.0, 2.1)]
    assert [segment for segment, _ in timeline.heard_windows(sound, 0, 2.0, 0.5)] == [Segment(0, 1.0)]
    leaps = timeline.heard_windows(sound, 0, 0.25, 0.75)
    assert [segment for segment, _ in leaps] == [Segment(0, 0.25), Segment(0.75, 1.0)]


def test_a_stride_over_the_end_leaves_the_rest_out():
    assert windows(40, 30, 0.5, 1.0) == [(Segment(0, 0.5), range(15)), (Segment(1, 1.333333), range(30, 40))]
    assert windows(25, 30, 0.5, 1.0) == [(Segment(0, 0.5), range(15))]


def test_a_window_without_a_frame_is_refused():
    with pytest.raises(UserError, match=r"--window 0\.01: there is no frame in it at 30 a second"):
        windows(100, 30, 0.01, 0.51)


def test_a_table_has_a_line_a_place():
    assert timeline.as_table(Path("a.mp4"), PLACES, CLASSES, 2).splitlines() == [
        "| a.mp4          |                 1 |                 2 |",
        "|----------------|------------------:|------------------:|",
        "| 0:00 to 0:02   |          run 0.50 | jump, <high> 0.25 |",
        "| 0:01 to 0:02.5 | jump, <high> 1.00 |          run 0.25 |",
    ]


def test_json_has_a_line_a_place_with_all_classes_best_first():
    scorer = SimpleNamespace(classes=CLASSES, task=SINGLE_LABEL)
    line = json.loads(timeline.as_json(Path("a.mp4"), PLACES[1], scorer))

    assert (line["video"], line["start"], line["end"], line["task"]) == ("a.mp4", 1.0, 2.5, SINGLE_LABEL)
    assert list(line["scores"].items()) == [("jump, <high>", 1.0), ("run", 0.25), ("sit", 0.0)]


def test_a_csv_comes_back_as_it_was():
    lines = [timeline.csv_head(CLASSES), *(timeline.csv_line(Path("a, b.mp4"), place) for place in PLACES)]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))

    assert rows[1] == {
        "video": "a, b.mp4",
        "start": "1.0",
        "end": "2.5",
        "run": "0.25",
        "jump, <high>": "1",
        "sit": "0",
    }


def test_a_picture_has_a_cell_for_each_class_and_place():
    root = ET.fromstring(timeline.as_svg(Path("a & b.mp4"), PLACES, CLASSES))  # noqa: S314 - our own
    cells = [node for node in root if node.tag.endswith("rect")]

    assert [float(node.get("fill-opacity", "")) for node in cells] == [0.25, 1.0, 0.5, 0.25, 0.125, 0.0]
    assert [node[0].text for node in cells[:2]] == [
        "jump, <high>, 0:00 to 0:02: 0.25",
        "jump, <high>, 0:01 to 0:02.5: 1.00",
    ]
    places = [(float(node.get("x", "")), float(node.get("width", ""))) for node in cells[:2]]
    assert places[1] == (pytest.approx(places[0][0] + places[0][1]), pytest.approx(1.5 * places[0][1]))
    assert "a & b.mp4" in [node.text for node in root]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (12.5, "0:12.5"), (62, "1:02"), (3600, "1:00:00"), (3723.25, "1:02:03.25"), (59.9996, "1:00")],
)
def test_a_time_is_written_as_players_do(seconds: float, text: str):
    assert timeline.clock(seconds) == text
