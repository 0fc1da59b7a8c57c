"""`pipeline submission`: the file of the challenge, checked against the corpus in a folder of results."""

import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support.command import call


@pytest.fixture
def data(tmp_path):
    records = [VideoRecord(v, s, v, "run;jump", "1-x") for v, s in (("a", "train"), ("b", "val"), ("c", "test"))]
    Manifest.from_records(records, ["jump", "run"]).write(tmp_path / "manifest.tsv", tmp_path / "classes.txt")
    (tmp_path / "ensemble").mkdir()
    return tmp_path


def test_the_file_of_the_ensemble_is_checked_where_none_is_named(data, capsys):
    (data / "ensemble/submission.csv").write_text("video,class_1,score_1\nc,run,0.5\n")
    call("submission", "--data", data)
    assert (
        capsys.readouterr().out == f"{data}/ensemble/submission.csv: 1 videos, in order, each with its ranked classes\n"
    )


def test_another_file_is_checked_against_the_same_corpus(data):
    (data / "mine.csv").write_text("video,class_1,score_1\nb,run,0.5\n")
    with pytest.raises(UserError, match=r"mine.csv, line 2: the video is 'b'; in manifest order it must be 'c'"):
        call("submission", data / "mine.csv", "--data", data)
