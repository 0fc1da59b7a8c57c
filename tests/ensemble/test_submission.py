import csv
import io
import subprocess
import sys

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.ensemble import submission
from pipeline.predictions.table import PredictionTable

VIDEOS, CLASSES = ("x, 1.mp4", 'y".mp4'), ("jump", "run", "sit; down")


def table() -> PredictionTable:
    scores = np.array([[0.25, 0.75, 0.25], [0.5, 0.125, 0.625]], dtype=np.float32)
    return PredictionTable(VIDEOS, np.array([False, True]), ("run", "jump"), CLASSES, scores, {})


def test_it_ranks_the_classes_of_each_video_in_manifest_order():
    rows = list(csv.reader(io.StringIO(submission.text(table(), top=2))))
    assert rows == [
        ["video", "class_1", "score_1", "class_2", "score_2"],
        ["x, 1.mp4", "run", "0.750000", "jump", "0.250000"],  # jump ties with sitting down, and comes first
        ['y".mp4', "sit; down", "0.625000", "jump", "0.500000"],
    ]


@pytest.mark.parametrize("top", [1, 2, 3, 99])
def test_what_is_written_passes_the_check(tmp_path, top):
    file = tmp_path / "submission.csv"
    file.write_text(submission.text(table(), top))
    submission.check(file, VIDEOS, CLASSES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class_1", "klass_1", "line 1: the header must be video,class_1,score_1 and so on"),
        ('"x, 1.mp4"', "z.mp4", "line 2: the video is 'z.mp4'; in manifest order it must be 'x, 1.mp4'"),
        ("run", "fly", "line 2: x, 1.mp4 has the class 'fly'"),
        ("run", "jump", "line 2: x, 1.mp4 must have 2 different classes"),
        (",jump,0.250000", "", "line 2: x, 1.mp4 must have 2 different classes"),
        ("0.750000", "high", "line 2: x, 1.mp4 has the score 'high', which is no decimal number in 0..1"),
        ("0.750000", "nan", "line 2: x, 1.mp4 has the score 'nan'"),
        ("0.750000", "1_0", "line 2: x, 1.mp4 has the score '1_0'"),
        ("0.750000", "17.5", "line 2: x, 1.mp4 has the score '17.5'"),
        ("0.250000", "-0.5", "line 2: x, 1.mp4 has the score '-0.5'"),
        ("0.750000", "0.1", "line 2: the scores of x, 1.mp4 must descend: 0.1, 0.25"),
        ("run", "r" * 200_000, "line 2: field larger than field limit"),
        ("run", "r" * 200, f"line 2: x, 1.mp4 has the class '{'r' * 80}...', which"),
        ("sit; down", '"sit', "line 3: unexpected end of data"),
        ('"y"".mp4",sit; down,0.625000,jump,0.500000\n', "", "answers 1 videos, and the test split has 2"),
    ],
)
def test_what_could_not_be_scored_is_refused_with_its_line(tmp_path, old, new, message):
    file = tmp_path / "submission.csv"
    text = submission.text(table(), top=2)
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        submission.check(file, VIDEOS, CLASSES)


def test_a_video_more_than_there_are_is_refused(tmp_path):
    file = tmp_path / "submission.csv"
    file.write_text(submission.text(table(), top=2) + "z.mp4,run,1,jump,0\n")
    with pytest.raises(UserError, match="answers 3 videos, and the test split has 2"):
        submission.check(file, VIDEOS, CLASSES)


def test_an_empty_file_has_no_header(tmp_path):
    (tmp_path / "submission.csv").write_text("")
    with pytest.raises(UserError, match="line 1: the header"):
        submission.check(tmp_path / "submission.csv", VIDEOS, CLASSES)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "submission.csv").write_bytes("vidéo".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8"):
        submission.check(tmp_path / "submission.csv", VIDEOS, CLASSES)


def test_a_line_is_counted_as_an_editor_counts_it(tmp_path):
    file = tmp_path / "submission.csv"
    file.write_text(submission.text(table(), top=2).replace("x, 1.mp4", "x,\n1.mp4").replace("sit; down", "fly"))
    with pytest.raises(UserError, match="line 4: .* has the class 'fly'"):
        submission.check(file, ("x,\n1.mp4", VIDEOS[1]), CLASSES)


def test_a_file_that_is_not_there_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(UserError, match="does not exist. `dvc repro ensemble`"):
        submission.check(tmp_path / "submission.csv", VIDEOS, CLASSES)


@pytest.mark.slow
def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    records = [VideoRecord(v, s, v, "run;jump", "1-x") for v, s in (("a", "train"), ("b", "val"), ("c", "test"))]
    files = [tmp_path / name for name in ("submission.csv", "manifest.tsv", "classes.txt")]
    Manifest.from_records(records, ["jump", "run"]).write(*files[1:])

    def command() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline.ensemble.submission", *files], capture_output=True, text=True
        )

    files[0].write_text("video,class_1,score_1\nc,run,0.5\n")
    assert (command().returncode, command().stderr) == (0, "")
    files[0].write_text("video,class_1,score_1\nb,run,0.5\n")
    assert command().returncode == 1
    assert command().stderr == f"error: {files[0]}, line 2: the video is 'b'; in manifest order it must be 'c'.\n"
