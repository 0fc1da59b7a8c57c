"""`pipeline doubles` in a project whose frames are packed; tests/near_doubles has what it finds."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.core import doubles, groups, params, tsv
from pipeline.core.errors import UserError
from pipeline.core.manifest import SPLITS, Manifest, VideoRecord
from tests.support.command import call
from tests.support.moving import clip, copies, jpegs

VIDEOS = {
    **{f"{n}.mp4": jpegs(clip(n)) for n in range(9)},
    "copy.mp4": copies(clip(4))["half"],
    "still.mp4": jpegs(np.repeat(clip(1)[:1], 30, axis=0)),
}


@pytest.fixture
def project(packed, tmp_path, monkeypatch):
    """A project after `dvc repro pack`: copy.mp4, in test, is 4.mp4, in train."""
    settings = params.read_all()
    packed(VIDEOS)
    data, root = tmp_path / "data", tmp_path / "videos"
    data.mkdir()
    shutil.move(tmp_path / "lmdb", data / "lmdb")
    rows = [VideoRecord(name, SPLITS[n % 3] if n < 9 else "test", name, "ab"[n % 2]) for n, name in enumerate(VIDEOS)]
    rows[4] = rows[4]._replace(split="train")
    corpus = Manifest.from_records(rows, ["a", "b"])
    corpus.write(data / "manifest.tsv", data / "classes.txt")
    groups.write(data / "groups.tsv", {})
    tsv.write(data / "doubles.tsv", doubles.table(corpus, np.full(len(rows), -1), np.full(len(rows), True)))
    root.mkdir()
    for row in rows:
        (root / row.path).touch()
    (tmp_path / "labels.csv").write_text("path,labels\n" + "".join(f"{row.path},{row.labels}\n" for row in rows))
    settings["dataset"] |= {"format": "folder", "root": str(root), "annotations": str(tmp_path / "labels.csv")}
    settings["dataset"] |= {"classes": None, "generated": []}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_copy_is_listed_shown_and_said(project, capsys):
    call("doubles")

    table = pd.read_csv(project / "data" / "near_doubles.tsv", sep="\t")
    assert table[["one", "other"]].to_numpy().tolist() == [["4.mp4", "copy.mp4"]]
    assert (project / "data" / "near_doubles.html").read_text().count("<article") == 1
    said = capsys.readouterr().out
    assert "1 pair of 11 videos, 1 of them across splits" in said
    assert "In 1 video too little moves to tell." in said
    assert "--csv FILE" in said


def test_the_lowest_likeness_is_a_choice(project, capsys):
    call("doubles", "--least", "0.1")
    assert "1 pair of" not in capsys.readouterr().out
    likeness = pd.read_csv(project / "data" / "near_doubles.tsv", sep="\t")["likeness"]
    assert len(likeness) > 1
    assert likeness.min() >= 0.1


def test_the_corpus_is_written_with_copies_as_groups(project, capsys):
    call("doubles", "--csv", "joined.csv")

    read = pd.read_csv("joined.csv", keep_default_na=False).set_index("path")
    assert len(read) == len(VIDEOS)
    assert read["group"]["4.mp4"] == read["group"]["copy.mp4"] != ""
    assert (read["group"].drop(["4.mp4", "copy.mp4"]) == "").all()
    assert "split" not in read, "so that it is made anew"
    said = capsys.readouterr().out
    assert "format: folder, annotations: joined.csv" in said
    assert "mend by hand" not in said


def test_the_annotations_are_not_written_over(project):
    before = (project / "labels.csv").read_bytes()
    with pytest.raises(UserError, match=r"is the file of the annotations"):
        call("doubles", "--csv", "labels.csv")
    assert (project / "labels.csv").read_bytes() == before


@pytest.mark.parametrize("least", ["0", "1.1", "nan", "much"])
def test_a_likeness_is_a_number_up_to_1(least, capsys):
    with pytest.raises(SystemExit):
        call("doubles", "--least", least)
    assert "above 0 and up to 1" in capsys.readouterr().err
