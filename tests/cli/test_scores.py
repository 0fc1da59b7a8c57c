"""The commands that look into prediction files: what they say of files small enough to check by eye."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.cli import score_tables
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.task import SINGLE_LABEL, noted
from pipeline.predictions import import_scores
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores, protocol_table
from tests.support.command import call

ROOT = Path(__file__).parents[2]
CLASSES = ("jump", "run", "swim")
LABELS = {"a.mp4": "run", "b.mp4": "jump;swim", "c.mp4": "swim"}
VIEWS = [
    {"clips": 1, "clip": 0, "scale": {"side": side, "crop": 32}, "crop": crop} for side in (32, 40) for crop in "lr"
]
GRID = {"views": VIEWS, "protocols": {"clip": [0], "dense": [0, 1], "multiscale": [0, 1, 2, 3]}}
LOGITS = np.array(
    [
        [[-1, 2, -2], [-1, 2, -2], [-1, 2, -2], [-1, 2, -2]],
        [[3, 4, 1], [3, -4, 1], [3, 0, 1], [3, 0, 1]],
        [[0, 1, -1]] * 4,
    ],
    np.float16,
)


@pytest.fixture
def folder(tmp_path):
    """run is right of a.mp4; of b.mp4 the best class is wrong in one view; c.mp4 is wrong throughout."""
    manifest = Manifest(pd.DataFrame([VideoRecord(v, "val", v, w, "1-x") for v, w in LABELS.items()]), CLASSES)
    scores = ViewScores(LOGITS, GRID)
    protocol_table(manifest, np.zeros(3, bool), scores, "multiscale", {"model": "net"}).write(tmp_path / "val.parquet")
    scores.write(tmp_path, "val")
    return tmp_path


def said(capsys, *arguments) -> list[str]:
    call("scores", *arguments)
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_file_is_summed_up(folder, capsys):
    lines = said(capsys, "show", folder / "val.parquet", "--top", "1")
    assert lines[0].split() == ["model", "net,", "protocol", "multiscale"]
    # average precisions 1, 1, 1/3: run of b.mp4 is at (0.98 + 0.02 + 0.5 + 0.5) / 4 = 0.5, below swim's 0.73
    assert f"mAP {100 * (1 + 1 + 1 / 3) / 3:.2f}" in lines[3]
    assert "hit_at_1 66.67" in lines[3]
    worst = lines[lines.index("Worst videos") + 3]
    assert cells(worst)[:3] == ["c.mp4", "33.33", "swim"]


def test_a_video_shows_its_top_classes_and_every_label(folder, capsys):
    lines = said(capsys, "show", folder / "val.parquet", "--video", "c.mp4", "--top", "1")
    assert lines[0] == "c.mp4: ok, labels swim, AP 33.33"
    assert [cells(line) for line in lines[3:]] == [["run", "1", "0.7311", ""], ["swim", "3", "0.2689", "yes"]]


def test_videos_that_a_model_cannot_see_are_told(folder, capsys):
    table = replace(PredictionTable.read(folder / "val.parquet"), unseen=np.array([False, False, True]))
    table.write(folder / "val.parquet")
    assert said(capsys, "show", folder / "val.parquet")[2].split()[:3] == ["unseen", "1", "more,"]
    lines = said(capsys, "show", folder / "val.parquet", "--video", "c.mp4")
    assert lines[0] == "c.mp4: unseen by this model: the class prior, labels swim, AP 33.33"
    assert score_tables.under(folder, "val", "clip").unseen.tolist() == [False, False, True]


def test_a_class_shows_what_it_finds_misses_and_sees_in_vain(folder, capsys):
    lines = said(capsys, "show", folder / "val.parquet", "--class", "swim")
    assert lines[0] == "swim: 2 of 3 videos, AP 100.00"
    first = {title: cells(lines[lines.index(title) + 3])[0] for title in ("best", "missed", "false alarms")}
    assert first == {"best": "b.mp4", "missed": "c.mp4", "false alarms": "a.mp4"}


def test_where_a_video_has_one_label_a_right_answer_is_not_missed(tmp_path, capsys):
    labels = ("run", "run", "run", "swim", "swim")
    scores = np.array([[0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.0, 0.9, 0.1], [0.0, 0.7, 0.3], [0.1, 0.4, 0.5]], np.float32)
    PredictionTable(tuple("abcde"), np.zeros(5, bool), labels, CLASSES, scores, noted(SINGLE_LABEL)).write(
        tmp_path / "val.parquet"
    )
    assert "top1" in (head := said(capsys, "show", tmp_path / "val.parquet")[3])
    assert "top5" not in head, "five of three classes are all"
    lines = said(capsys, "show", tmp_path / "val.parquet", "--class", "run")
    starts = [lines.index(title) for title in ("best", "missed", "false alarms")]
    parts = [lines[start + 3 : end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    videos = [[cells(line)[0] for line in part if line] for part in parts]
    assert videos == [["c", "a", "b"], ["b"], ["d"]]


def test_files_without_labels_are_shown_without_figures(folder, capsys):
    table = PredictionTable.read(folder / "val.parquet")
    PredictionTable(table.videos, table.broken, ("",) * 3, CLASSES, table.probabilities, {}).write(folder / "t.parquet")
    assert "no figures" in said(capsys, "show", folder / "t.parquet")[-1]
    assert said(capsys, "show", folder / "t.parquet", "--video", "a.mp4")[0] == "a.mp4: ok, labels none"
    assert not any("mAP" in line for line in said(capsys, "compare", *2 * [folder / "t.parquet"]))


def test_two_files_are_compared_where_they_differ_most(folder, capsys):
    table = PredictionTable.read(folder / "val.parquet")
    changed = table.probabilities.copy()
    changed[2] = [0, 0, 1]
    other = PredictionTable(table.videos, table.broken, table.labels, CLASSES, changed, {"model": "other"})
    other.write(folder / "other.parquet")
    lines = said(capsys, "compare", folder / "val.parquet", folder / "other.parquet", "--top", "1")
    assert lines[0].startswith("net against other: mean difference")
    assert lines[1].startswith(f"sample mAP {100 * 7 / 9:.2f} against 100.00: +{100 * 2 / 9:.2f}, 95 %: ")
    row = cells(lines[lines.index("videos") + 3])
    assert row[0] == "c.mp4"
    assert row[2:4] == ["33.33", "100.00"]
    assert cells(lines[lines.index("classes") + 3])[0] in ("run", "swim")


def test_files_of_other_videos_are_not_compared(folder, capsys):
    table = PredictionTable.read(folder / "val.parquet")
    PredictionTable(("a", "b", "x"), table.broken, table.labels, CLASSES, table.probabilities, {}).write(
        folder / "x.parquet"
    )
    with pytest.raises(UserError, match="cannot be compared"):
        said(capsys, "compare", folder / "val.parquet", folder / "x.parquet")


def test_a_protocol_is_recomputed_and_written(folder, capsys):
    said(capsys, "protocol", folder, "val", "multiscale", "--write", folder / "again.parquet")
    again = PredictionTable.read(folder / "again.parquet")
    np.testing.assert_array_equal(again.probabilities, PredictionTable.read(folder / "val.parquet").probabilities)
    said(capsys, "protocol", folder, "val", "side=32,crop=r", "--write", folder / "one.parquet")
    one = PredictionTable.read(folder / "one.parquet")
    np.testing.assert_allclose(one.probabilities, 1 / (1 + np.exp(-LOGITS[:, 1].astype(float))), rtol=1e-6)
    assert one.meta["protocol"] == "side=32,crop=r"
    said(capsys, "protocol", folder, "val", " side = 32, crop=r ", "--write", folder / "spaced.parquet")
    np.testing.assert_array_equal(PredictionTable.read(folder / "spaced.parquet").probabilities, one.probabilities)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "val.parquet", "--video", "A.MP4"), "There is no video 'A.MP4'. There are: a.mp4"),
        (("show", "val.parquet", "--class", "walk"), "There is no class 'walk'"),
        (("show", "none.parquet"), "none.parquet does not exist"),
        (("protocol", ".", "val", "densse"), "no protocol 'densse'"),
        (("protocol", ".", "val", "side=33"), "No view has 'side=33'.*side is 32, 40"),
        (("protocol", ".", "val", "corner=l"), "'corner' is no key, only clips, clip, side, size, crop"),
        (("protocol", ".", "val", "crop=l,scale=32"), "'scale' is no key"),
        (("protocol", ".", "val", "side="), "No view has 'side=.*side is 32, 40"),
        (("protocol", ".", "test", "clip"), "test.parquet does not exist"),
    ],
)
def test_what_is_not_there_is_named(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=message):
        said(capsys, *arguments)


@pytest.mark.parametrize("name", ["results", "folder.parquet", "val.csv", "."])
def test_a_protocol_is_written_to_a_parquet_file_and_never_over_a_folder(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    for kept in ("results/a.txt", "folder.parquet/a.txt"):
        (folder / kept).parent.mkdir()
        (folder / kept).write_text("kept")
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=r"--write .*ends in \.parquet, and no folder"):
        call("scores", "protocol", ".", "val", "clip", "--write", name)
    assert sorted(folder.rglob("*")) == before


def test_the_views_of_imported_scores_cannot_be_chosen(folder, capsys):
    ViewScores(LOGITS[:, :1], import_scores.GRID).write(folder, "val")
    said(capsys, "protocol", folder, "val", "dense")
    with pytest.raises(UserError, match="'side=40': nobody knows .*ask for a protocol, clip, dense, multiscale"):
        said(capsys, "protocol", folder, "val", "side=40")


@pytest.mark.parametrize("shape", [(2, 4, 3), (3, 4, 2)])
def test_views_of_another_run_are_refused(folder, capsys, shape):
    ViewScores(np.zeros(shape, np.float16), GRID).write(folder, "val")
    with pytest.raises(UserError, match=r"val.parquet and val.views.npy are not of one run"):
        said(capsys, "protocol", folder, "val", "clip")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_logits_that_are_no_numbers_are_refused_with_their_place(folder, capsys):
    logits = LOGITS.copy()
    logits[1, 0, 2] = np.nan
    ViewScores(logits, GRID).write(folder, "val")
    with pytest.raises(UserError, match=r"val.views.npy, row 2 \(video 'b.mp4'\): the score of 'swim' is nan"):
        said(capsys, "protocol", folder, "val", "clip")


@pytest.mark.parametrize("arguments", [("show", "a", "--top=-1"), ("compare", "a", "b", "--top=0")], ids=" ".join)
def test_a_table_has_at_least_one_row(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        call("scores", *arguments)
    assert "argument --top: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(folder):
    command = [sys.executable, "-m", "pipeline", "scores", "show", str(folder / "val.parquet")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.fixture
def partly_known(tmp_path):
    """Of a.mp4 nobody knows whether it shows jump, and of c.mp4 whether it shows run."""
    scores = np.array([[0.9, 0.6, 0.1], [0.8, 0.5, 0.7], [0.3, 0.9, 0.4]], np.float32)
    labels = ("run;?jump", "jump;swim", "swim;?run")
    table = PredictionTable(("a.mp4", "b.mp4", "c.mp4"), np.zeros(3, bool), labels, CLASSES, scores, {"model": "net"})
    table.write(tmp_path / "val.parquet")
    return tmp_path / "val.parquet"


def test_what_nobody_knows_counts_neither_for_a_video_nor_for_a_class(partly_known, capsys):
    assert "mAP 100.00, class_mAP 100.00, hit_at_1 100.00" in said(capsys, "show", partly_known, "--top", "1")[3]
    lines = said(capsys, "show", partly_known, "--video", "a.mp4", "--top", "3")
    assert lines[0] == "a.mp4: ok, labels run;?jump, AP 100.00"
    found = [cells(line)[::3] for line in lines[3:]]
    assert found == [["jump", "unknown"], ["run", "yes"], ["swim", ""]]
    lines = said(capsys, "show", partly_known, "--class", "run")
    assert lines[0] == "run: 1 of 2 videos, AP 100.00"
    assert [cells(line)[0] for line in lines[lines.index("false alarms") + 3 :]] == ["b.mp4"]
