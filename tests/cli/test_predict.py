"""New videos: the scores that a corpus' video would get, and what becomes of files that are none."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline import class_stats
from pipeline.cli import new_videos
from pipeline.cli.main import main
from pipeline.cli.new_frames import NewVideos
from pipeline.clips import packing
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.short_sides import PackConfig
from pipeline.clips.views import ViewConfig
from pipeline.core.broken_videos import read_broken
from pipeline.core.machine import load_machine, scratch_folder
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.segments import Segment
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.extract import extract_corpus
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.inference.run import run_inference
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.training.trainer import fit
from tests.support import tiny
from tests.support.corpus import FFMPEG

pytestmark = pytest.mark.slow
EXTRACT = ExtractConfig(fps=30, short_side=40, jpeg_qscale=2, timeout_seconds=60, shards=1)
PACK = PackConfig((40, 32))
"""Of the two test scales, one is read at each size."""
TEST = {"clips": 2, "sides": [32, 36], "crop": 32}
VIDEOS = {"h264.mp4": "train", "upright.mp4": "train", "vp9.webm": "val", "short.mp4": "test", "sound_only.mp4": "test"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, clips) -> Path:
    """A folder with two trained models and their predictions, as the stages leave it."""
    root = tmp_path_factory.mktemp("project")
    data, machine = root / "data", tiny.machine(root / "work", threads=2)
    rows = [VideoRecord(v, split, v, "red;blue" if v == "h264.mp4" else "green", "1-x") for v, split in VIDEOS.items()]
    manifest = Manifest.from_records(rows, list(tiny.COLOURS))
    extract_corpus(manifest, clips, data / "frames", data / "broken.tsv", EXTRACT, machine)
    packing.pack(data / "frames", data / "lmdb", scratch_folder(machine, "pack"), smaller=PACK.smaller)
    train = manifest.split("train")
    counted = class_stats.write(data / "stats", train, expected=2)
    corpus = manifest, FrameStore(data / "lmdb"), counted
    for name in ("net", "other"):
        fit(tiny.model(epochs=1, batch=2, seed=len(name)), *corpus, data / "models" / name, machine)
        run_inference(
            name,
            {name: ViewConfig(2, (32, 36), 32)},
            *corpus,
            data / "models" / name,
            data / "predictions" / name,
            machine,
        )
    tables = [PredictionTable.read(data / "predictions" / name / "val.parquet") for name in ("net", "other")]
    fused = (0.25 * tables[0].probabilities + 0.75 * tables[1].probabilities).astype(np.float32)
    write_ensemble(data, fused, "probability", "multiscale", {"net": 0.25, "gone": 0.0, "other": 0.75})
    params = {
        "extract": vars(EXTRACT),
        "pack": {"short_sides": list(PACK.short_sides), "jpeg_quality": PACK.jpeg_quality},
        "machine": vars(machine),
        "models": {n: {"test": TEST} for n in ("net", "other")},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    return root


def write_ensemble(data, fused, mean, protocol, members, classes=None, **checkpoints) -> None:
    """What stage `ensemble` leaves; a member that nothing is said of has its checkpoint, or none where it lacks one."""
    one = PredictionTable.read(data / "predictions/net/val.parquet")
    files = {name: data / "models" / name / "model.safetensors" for name in members}
    own = {name: hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else None for name, f in files.items()}
    meta = {"model": "ensemble", "protocol": protocol, "checkpoints": own | checkpoints}
    PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta).write(data / "ensemble/val.parquet")
    weights = {"weights": "given", "mean": mean, "members": members} | ({"classes": classes} if classes else {})
    (data / "ensemble/weights.json").write_text(json.dumps(weights))


@pytest.fixture
def copy(here, tmp_path) -> Path:
    """The project's data, to be changed."""
    return shutil.copytree(here / "data", tmp_path / "copy")


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["predict", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("model", ["net", "ensemble"])
def test_a_video_of_the_corpus_gets_the_scores_of_the_prediction_file(here, clips, capsys, model):
    code, out, _ = run(capsys, clips / "vp9.webm", "--model", model, "--json")
    assert code == 0
    folder = here / "data" / ("ensemble" if model == "ensemble" else f"predictions/{model}")
    table = PredictionTable.read(folder / "val.parquet")
    answer = json.loads(out)
    assert answer["video"] == str(clips / "vp9.webm")
    scores = [answer["scores"][name] for name in table.classes]
    np.testing.assert_allclose(scores, table.probabilities[table.videos.index("vp9.webm")], rtol=1e-6)
    assert list(answer["scores"].values()) == sorted(scores, reverse=True)


@pytest.mark.parametrize("protocol", ["clip", "dense"])
@pytest.mark.parametrize("mean", ["probability", "logit"])
@pytest.mark.parametrize("own", [False, True], ids=["all classes", "per class"])
def test_members_are_fused_as_the_ensemble_says(copy, clips, capsys, own, mean, protocol):
    table = PredictionTable.read(copy / "predictions/net/val.parquet")
    row, scores = table.videos.index("vp9.webm"), []
    for name in ("net", "other"):
        folder = copy / "predictions" / name
        chosen = json.loads((folder / "val.views.json").read_text())["protocols"][protocol]
        logits = np.load(folder / "val.views.npy")[row, chosen].astype(float)
        scores.append((1 / (1 + np.exp(-logits))).mean(axis=0))
    shares = np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.6]]) if own else np.array([[0.75], [0.25]]).repeat(3, axis=1)
    if mean == "logit":
        wanted = 1 / (1 + np.exp(-sum(w * np.log(p / (1 - p)) for w, p in zip(shares, scores, strict=True))))
    else:
        wanted = sum(w * p for w, p in zip(shares, scores, strict=True))
    members = dict(zip(("net", "other"), shares.mean(axis=1).tolist(), strict=True))
    classes = {c: dict(zip(members, shares[:, i].tolist(), strict=True)) for i, c in enumerate(table.classes)}
    write_ensemble(copy, table.probabilities, mean, protocol, members, classes if own else None)
    code, out, _ = run(capsys, clips / "vp9.webm", "--model", "ensemble", "--json", "--data", copy)
    assert code == 0
    found = json.loads(out)["scores"]
    np.testing.assert_allclose([found[name] for name in table.classes], wanted, rtol=1e-5)


def test_the_fused_scores_above_tell_their_settings_apart(here):
    """Or the test above could not fail: members and protocols differ by far more than it allows."""
    views = [ViewScores.read(here / "data/predictions" / name, "val") for name in ("net", "other")]
    scores = np.stack(
        [[one.probabilities(protocol)[0] for protocol in ("clip", "dense", "multiscale")] for one in views]
    )
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    assert all(np.abs(scores[:, i] - scores[:, j]).max() > 1e-4 for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"members": [1], "mean": "rank"}', '{"members": {"net": "1"}, "mean": "rank"}',
     '{"members": {"net": 1.0}, "mean": "median"}', '{"members": {"net": 0.0}, "mean": "rank"}',
     '{"members": {"net": 1.0}}', '{"members": {"new": 1.0}, "mean": "rank"}',
     '{"members": {"net": 1.0}, "mean": "rank", "classes": {"red": {"net": 1}}}'],
)  # fmt: skip
def test_damaged_weights_are_refused(copy, clips, capsys, text):
    (copy / "ensemble/weights.json").write_text(text)
    code, _, err = run(capsys, clips / "vp9.webm", "--model", "ensemble", "--data", copy)
    assert (code, err.count("\n")) == (1, 1)
    assert "weights.json" in err
    assert "dvc repro --force ensemble" in err


def test_an_ensemble_with_imported_scores_says_who_can_predict(copy, clips, capsys):
    fused = PredictionTable.read(copy / "ensemble/val.parquet").probabilities
    write_ensemble(copy, fused, "probability", "multiscale", {"net": 0.5, "theirs": 0.25, "other": 0.25})
    code, _, err = run(capsys, clips / "vp9.webm", "--model", "ensemble", "--data", copy)
    assert code == 1
    assert "holds theirs: scores of another program, without a model" in err
    assert "(net, other)" in err
    write_ensemble(copy, fused, "probability", "multiscale", {"net": 0.5, "theirs": 0.0})
    assert run(capsys, clips / "vp9.webm", "--model", "ensemble", "--data", copy)[0] == 0, "who has no weight may lack"


def test_a_member_that_was_trained_again_is_not_fused_with_old_weights(copy, clips, capsys):
    fused = PredictionTable.read(copy / "ensemble/val.parquet").probabilities
    write_ensemble(copy, fused, "probability", "multiscale", {"net": 0.5, "other": 0.5}, other="0" * 64)
    code, _, err = run(capsys, clips / "vp9.webm", "--model", "ensemble", "--data", copy)
    assert code == 1
    assert "other was trained again" in err
    assert "`dvc repro ensemble`" in err
    assert run(capsys, clips / "vp9.webm", "--model", "other", "--data", copy)[0] == 0


@pytest.mark.parametrize(
    ("asked", "missing", "message"),
    [
        ("other", "other", r"how model other sees a video\. .*`pipeline params model=other` this model"),
        (
            "ensemble",
            "other",
            r"how the ensemble's member other sees a video\. .*`pipeline params model=SET` .*net, other",
        ),
    ],
)
def test_a_model_that_params_yaml_is_not_of_is_named_with_the_command(
    here, clips, capsys, tmp_path, monkeypatch, asked, missing, message
):
    params = yaml.safe_load((here / "params.yaml").read_text())
    params["models"].pop(missing)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, clips / "vp9.webm", "--model", asked, "--data", here / "data")
    assert code == 1
    assert "params.yaml is of another set of models (net)" in err
    assert re.search(message, err)


def test_members_of_other_classes_are_refused(copy, clips, capsys):
    other = Checkpoint.read(copy / "models/other")
    replace(other, classes=other.classes[::-1]).write(copy / "models/other")
    fused = PredictionTable.read(copy / "ensemble/val.parquet").probabilities
    write_ensemble(copy, fused, "probability", "multiscale", {"net": 0.5, "other": 0.5})
    code, _, err = run(capsys, clips / "vp9.webm", "--model", "ensemble", "--data", copy)
    assert code == 1
    assert "Model other was trained on other classes" in err


def test_one_device_is_enough(here, clips, capsys, monkeypatch):
    asked = []
    launch = new_videos.distributed.launch
    monkeypatch.setattr(
        new_videos.distributed, "launch", lambda machine: asked.append(machine.devices) or launch(machine)
    )
    assert run(capsys, clips / "vp9.webm", "--model", "net")[0] == 0
    assert asked == [1]


def test_a_name_that_is_no_utf8_is_broken_and_the_rest_is_answered(here, clips, capsys, tmp_path):
    strange = os.fsencode(tmp_path / "folder") + b"/caf\xe9.mp4"
    (tmp_path / "folder").mkdir()
    try:
        shutil.copy(clips / "short.mp4", strange)
    except OSError:
        pytest.skip("this file system has no such names")
    shutil.copy(clips / "short.mp4", tmp_path / "folder/d.mp4")
    code, out, err = run(capsys, tmp_path / "folder", "--model", "net", "--json")
    assert code == 3
    assert [json.loads(line)["video"] for line in out.splitlines()] == [str(tmp_path / "folder/d.mp4")]
    (line,) = [line for line in err.splitlines() if line.startswith("broken")]
    assert "caf\\udce9.mp4: name: " in line


def test_a_window_is_answered_as_the_segment_is(here, clips, capsys, tmp_path):
    video = clips / "h264.mp4"
    asked = ("--model", "ensemble", "--window", "0.5", "--stride", "0.25")
    code, out, _ = run(capsys, video, *asked, "--json", "--plot", tmp_path / "x.svg")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [(line["start"], line["end"]) for line in found] == [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0)]
    assert (tmp_path / "x.svg").read_text().startswith("<svg ")

    scorer = new_videos.Scorer("ensemble", here / "data", load_machine())
    for number, line in enumerate(found):
        segment, folder = Segment(line["start"], line["end"]), tmp_path / str(number)
        source = NewVideos(PACK.smaller)
        folder.mkdir()
        extract_frames(video, folder, EXTRACT, FFMPEG, segment)
        name = f"{video}{segment.suffix}"
        source.jpegs[name] = [memoryview(jpeg.read_bytes()) for jpeg in sorted(folder.iterdir())]
        assert [line["scores"][c] for c in scorer.classes] == scorer.score(source, name).tolist()

    code, table, _ = run(capsys, video, *asked, "--csv")
    rows = list(csv.DictReader(table.splitlines()))
    assert [float(rows[2][c]) for c in scorer.classes] == pytest.approx([found[2]["scores"][c] for c in scorer.classes])
    assert "0:00.25 to 0:00.75" in run(capsys, video, *asked, "--top", "1")[1]


def test_a_timeline_of_a_file_that_is_no_video_is_told_and_the_rest_answered(here, clips, capsys):
    asked = ("--model", "net", "--window", "1", "--csv")
    code, out, err = run(capsys, clips / "sound_only.mp4", clips / "short.mp4", *asked)

    assert (code, len(out.splitlines())) == (3, 2)
    assert "sound_only.mp4: no_video_stream" in err


@pytest.mark.parametrize("asked", [("--stride", "1"), ("--csv",), ("--plot", "x.svg")])
def test_what_is_for_timelines_alone_is_said(here, clips, capsys, asked):
    code, _, err = run(capsys, clips / "short.mp4", "--model", "net", *asked)

    assert (code, "are for timelines. Give --window SECONDS as well." in err) == (1, True)


def test_a_plot_is_of_one_video(here, clips, capsys):
    asked = ("--model", "net", "--window", "1", "--plot", "x.svg")
    code, _, err = run(capsys, clips / "short.mp4", clips / "h264.mp4", *asked)

    assert (code, "--plot draws one video, and there are 2." in err) == (1, True)


def test_a_table_shows_the_top_classes(here, clips, capsys):
    code, out, _ = run(capsys, clips / "vp9.webm", "--model", "net", "--top", "2")
    assert code == 0
    lines = out.splitlines()
    assert "vp9.webm" in lines[0]
    assert len([line for line in lines if line.startswith("|")]) == 2 + 2


def test_broken_files_are_told_with_the_ledgers_reason_and_the_rest_is_answered(here, clips, capsys, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    files = [tmp_path / "text.mp4", clips / "short.mp4", clips / "sound_only.mp4"]
    code, out, err = run(capsys, *files, "--model", "net", "--json")
    assert code == 3
    assert [json.loads(line)["video"] for line in out.splitlines()] == [str(clips / "short.mp4")]
    reasons = [line.split(": ")[2] for line in err.splitlines() if line.startswith("broken")]
    assert reasons == ["not_a_video", "no_video_stream"]
    (known,) = read_broken(here / "data/broken.tsv")
    assert known.reason == reasons[1]
    assert not list((here / "work/predict").iterdir()), "frames are deleted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("params.yaml", "--model", "nett"), "no model 'nett', only net, other, ensemble"),
        (("params.yaml", "--model", ""), "no model '', only net, other, ensemble"),
        (("params.yaml", "--model", "../models/net"), "no model '../models/net'"),
        (("", "--model", "net"), "An empty argument names no video"),
        (("*.none", "--model", "net"), "no video there"),
        (("x.mp4", "--model", "net"), "x.mp4: there is no such file or folder"),
        (("params.yaml", "--model", "net", "--data", "elsewhere"), "no model 'net'"),
        (("params.yaml", "--model", "ensemble", "--data", "elsewhere"), "weights.json does not exist"),
    ],
)
def test_what_is_not_there_ends_with_1(here, capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert message in err


def test_a_folder_is_answered_in_order(here, clips, capsys, tmp_path):
    for name in ("vp9.webm", "h264.mp4", "short.mp4"):
        shutil.copy(clips / name, tmp_path)
    code, out, _ = run(capsys, tmp_path, "--model", "net", "--json")
    assert code == 0
    assert [Path(json.loads(line)["video"]).name for line in out.splitlines()] == ["h264.mp4", "short.mp4", "vp9.webm"]


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(here, clips):
    command = [sys.executable, "-m", "pipeline", "predict", str(clips / "short.mp4"), "--model", "net"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert b"Error" not in process.stderr.read()
    assert process.returncode == 141
    assert not list((here / "work/predict").iterdir()), "frames are deleted"
