"""New videos: the scores that a corpus' video would get, and what becomes of files that are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml

from pipeline import extraction, inference, ledger, predict, statistics, store, training
from pipeline.errors import BadInput
from pipeline.frames import ExtractConfig
from pipeline.machine import scratch_folder
from pipeline.predictions import PredictionTable
from pipeline.records import Manifest, VideoRecord
from pipeline.store import FrameStore
from pipeline.views import ViewConfig

EXTRACT = ExtractConfig(fps=30, short_side=40, jpeg_qscale=2, timeout_seconds=60, shards=1)
TEST = {"clips": 2, "sides": [32, 36], "crop": 32}
VIDEOS = {"h264.mp4": "train", "upright.mp4": "train", "vp9.webm": "val", "short.mp4": "test", "sound_only.mp4": "test"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, clips) -> Path:
    """A folder with two trained models and their predictions, as the stages leave it."""
    root = tmp_path_factory.mktemp("project")
    data, on = root / "data", tiny.machine(root / "work", threads=2)
    rows = [VideoRecord(v, split, v, "red;blue" if v == "h264.mp4" else "green", "1-x") for v, split in VIDEOS.items()]
    manifest = Manifest.from_records(rows, list(tiny.COLOURS))
    extraction.extract(manifest, clips, data / "frames", data / "broken.tsv", EXTRACT, on)
    store.pack(data / "frames", data / "lmdb", scratch_folder(on, "pack"))
    train = manifest.split("train")
    counted = statistics.write(data / "stats", train.targets(), train.classes, expected=2)
    corpus = manifest, FrameStore(data / "lmdb"), counted
    for name in ("net", "other"):
        training.fit(tiny.model(epochs=1, batch=2, seed=len(name)), *corpus, data / "models" / name, on)
        inference.run(
            name, {name: ViewConfig(2, (32, 36), 32)}, *corpus, data / "models" / name, data / "predictions" / name, on
        )
    tables = [PredictionTable.read(data / "predictions" / name / "val.parquet") for name in ("net", "other")]
    one = tables[0]
    fused = (0.25 * tables[0].probabilities + 0.75 * tables[1].probabilities).astype(np.float32)
    meta = {"model": "ensemble", "protocol": "multiscale"}
    PredictionTable(one.videos, one.broken, one.labels, one.classes, fused, meta).write(data / "ensemble/val.parquet")
    weights = {"weights": "given", "mean": "probability", "members": {"net": 0.25, "gone": 0.0, "other": 0.75}}
    (data / "ensemble/weights.json").write_text(json.dumps(weights))
    params = {"extract": vars(EXTRACT), "machine": vars(on), "models": {n: {"test": TEST} for n in ("net", "other")}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    return root


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = predict.main([str(argument) for argument in arguments])
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


def test_a_table_shows_the_top_classes(here, clips, capsys):
    code, out, _ = run(capsys, clips / "vp9.webm", "--model", "net", "--top", "2")
    assert code == 0
    lines = out.splitlines()
    assert "vp9.webm" in lines[0]
    assert len([line for line in lines if line.startswith("|")]) == 2 + 2


def test_broken_files_are_told_with_the_ledgers_reason_and_the_rest_is_answered(here, clips, capsys, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    files = [tmp_path / "text.mp4", clips / "short.mp4", clips / "sound_only.mp4", tmp_path / "none.mp4"]
    code, out, err = run(capsys, *files, "--model", "net", "--json")
    assert code == 1
    assert [json.loads(line)["video"] for line in out.splitlines()] == [str(clips / "short.mp4")]
    reasons = [line.split(": ")[2] for line in err.splitlines() if line.startswith("broken")]
    assert reasons == ["not_a_video", "no_video_stream", "missing"]
    (known,) = ledger.read(here / "data/broken.tsv")
    assert known.reason == reasons[1]
    assert not list((here / "work/predict").iterdir()), "frames are deleted"


def test_folders_and_patterns_give_the_videos_in_them(tmp_path, monkeypatch):
    for name in ("b.MP4", "a.webm", "deep/c.mkv", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    monkeypatch.chdir(tmp_path)
    names = [Path("in") / name for name in ("a.webm", "b.MP4", "deep/c.mkv")]
    assert predict.found(["in"]) == names
    assert predict.found(["in/**/*.mkv", "in"]) == [names[2], *names[:2]], "each once, in the order of naming"
    assert predict.found(["in/notes.txt", "nowhere.mp4"]) == [Path("in/notes.txt"), Path("nowhere.mp4")]
    for nothing in ("in/*.avi", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(BadInput, match="no video there"):
            predict.found([nothing])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.mp4", "--model", "nett"), "no model 'nett', only net, other, ensemble"),
        (("*.none", "--model", "net"), "no video there"),
        (("x.mp4", "--model", "net", "--data", "elsewhere"), "no model 'net'"),
        (("x.mp4", "--model", "ensemble", "--data", "elsewhere"), "weights.json does not exist"),
    ],
)
def test_a_wrong_command_ends_with_2(here, capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err


def test_usage_errors_end_with_2(here):
    with pytest.raises(SystemExit) as ended:
        predict.main(["x.mp4"])
    assert ended.value.code == 2


def test_a_folder_is_answered_in_order(here, clips, capsys, tmp_path):
    for name in ("vp9.webm", "h264.mp4", "short.mp4"):
        shutil.copy(clips / name, tmp_path)
    code, out, _ = run(capsys, tmp_path, "--model", "net", "--json")
    assert code == 0
    assert [Path(json.loads(line)["video"]).name for line in out.splitlines()] == ["h264.mp4", "short.mp4", "vp9.webm"]
