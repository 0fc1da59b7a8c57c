"""Prediction files: the same however many processes and workers share the work, and after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.special import softmax

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.cli import new_videos
from pipeline.clips import views
from pipeline.clips.dataset import MultiViewDataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.views import ViewConfig
from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.inference import run as inference_run
from pipeline.inference.job import Job
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores
from pipeline.runtime import fingerprint
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.chunk_cache import CHUNK
from pipeline.runtime.signals import Stopped
from pipeline.training.config import LossConfig
from pipeline.training.trainer import fit
from tests.support import tiny
from tests.support.inference import SCRIPT, VIEWS, Killed, assert_same_files, infer, kill_after, scored_models, torchrun


def test_scores_are_those_of_the_network_on_each_view_by_itself(models, whole):
    folder, (_manifest, store, _statistics) = models
    checkpoint = Checkpoint.read(folder / "net")
    network, spec = tiny.model().build(3)
    network.load_state_dict(checkpoint.weights)
    network.eval()
    grid = views.grid(tiny.model().clip.centre, VIEWS)
    scores, table = ViewScores.read(whole, "val"), PredictionTable.read(whole / "val.parquet")
    assert scores.logits.shape == (22, 1 + 2 * 2 * 3, 3)
    by_size = MultiViewDataset(["val0"], store, tiny.model().clip.sampler, grid)[0]
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    with torch.inference_mode():
        alone = torch.stack([network(((clip / 255 - mean) / std)[None])[0] for clip in by_size[32]])
    np.testing.assert_allclose(scores.logits[0], alone.numpy(), atol=2e-3)
    final = grid.protocols["multiscale"]
    np.testing.assert_allclose(table.probabilities[0], torch.sigmoid(alone)[list(final)].mean(0), atol=1e-3)


@pytest.mark.slow
def test_protocol_clip_is_what_training_validated_with(models, tmp_path):
    """Whatever other sides are tested; only the rounding of the stored logits may differ."""
    folder, corpus = tmp_path / "models", models[1]
    fit(tiny.model(epochs=2), *corpus, folder / "net", tiny.machine(tmp_path / "work"))
    tests = {"net": ViewConfig(clips=1, sides=(32, 200), crop=32)}
    out = infer((folder, corpus), tmp_path / "out", tests=tests)
    table, scores = PredictionTable.read(out / "val.parquet"), ViewScores.read(out, "val")
    validated = Checkpoint.read(folder / "net").recipe["result"]["val_mAP"]
    found = metrics.sample_map(scores.probabilities("clip")[:-1], table.targets()[:-1])  # without the broken one
    assert found == pytest.approx(validated)


def test_a_broken_video_is_answered_with_the_prior_and_keeps_its_place(models, whole):
    _, (_manifest, _store, statistics) = models
    table, scores = PredictionTable.read(whole / "test.parquet"), ViewScores.read(whole, "test")
    assert list(table.videos) == [f"test{number}" for number in range(18)]
    assert table.broken.tolist() == [False] * 17 + [True]
    np.testing.assert_allclose(table.probabilities[-1], statistics.prior, atol=1e-3)
    assert (scores.logits[-1] == scores.logits[-1, :1]).all()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_byte(models, whole, tmp_path, workers):
    assert_same_files(whole, infer(models, tmp_path / "out", workers=workers))


def test_the_order_of_the_videos_changes_no_score(models, whole, tmp_path):
    manifest = models[1][0]
    turned = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    out = infer(models, tmp_path / "out", corpus=turned)
    for split in ("val", "test"):
        np.testing.assert_array_equal(ViewScores.read(out, split).logits[::-1], ViewScores.read(whole, split).logits)
        assert PredictionTable.read(out / f"{split}.parquet").videos[0] == manifest.split(split).videos[-1]


def test_how_many_views_are_distinct_is_told(models, tmp_path, caplog):
    caplog.set_level("INFO")
    infer(models, tmp_path / "out", tests={"net": ViewConfig(clips=5, sides=(32,), crop=None)})
    assert "net: 9.0 of the 16 views of a video are distinct" in caplog.text
    assert "scored 38 videos in" in caplog.text


def test_random_crops_are_a_function_of_seed_video_and_view(models, tmp_path):
    def logits(seed: int, to: str, workers: int = 1) -> np.ndarray:
        config = ViewConfig(clips=1, sides=(36,), crop=32, crops="random", seed=seed)
        out = infer(models, tmp_path / to, tests={"net": config}, workers=workers)
        assert json.loads((out / "val.views.json").read_text())["seed"] == seed
        return np.array(ViewScores.read(out, "val").logits)

    first, again, other = logits(0, "a"), logits(0, "b", workers=3), logits(1, "c")
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:, 0], other[:, 0])  # the centre clip is not drawn
    assert (first[:-1, 1:] != other[:-1, 1:]).mean() > 0.5


@pytest.mark.parametrize("videos", [0, 15, 16, 32, 37])
def test_a_run_that_was_killed_goes_on_with_the_same_bytes(models, whole, tmp_path, monkeypatch, videos):
    with monkeypatch.context() as patch:
        kill_after(patch, videos, Killed())
        with pytest.raises(Killed):
            infer(models, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept = list((tmp_path / "work/infer").glob("net-*/*.npy"))
    assert len(kept) == videos // CHUNK

    scored = []
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1) or original(*a))
    assert_same_files(whole, infer(models, tmp_path / "out"))
    assert len(scored) == 38 - videos // CHUNK * CHUNK
    assert not any((tmp_path / "work/infer").iterdir()), "finished chunks are deleted when all is written"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_a_signal_stops_loses_no_video(models, whole, tmp_path, monkeypatch, number):
    with monkeypatch.context() as patch:
        kill_after(patch, 19, int(number))
        with pytest.raises(Stopped, match="20 of 38 videos") as stopped:
            infer(models, tmp_path / "out")
    assert stopped.value.status == 128 + number
    scored = []
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1) or original(*a))
    assert_same_files(whole, infer(models, tmp_path / "out"))
    assert len(scored) == 18


def test_a_damaged_chunk_is_made_again(models, whole, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        kill_after(patch, 20, Killed())
        with pytest.raises(Killed):
            infer(models, tmp_path / "out")
    (chunk,) = (tmp_path / "work/infer").glob("net-*/*.npy")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert_same_files(whole, infer(models, tmp_path / "out"))
    assert "is damaged" in caplog.text


MACHINES = {"precision": "bf16", "threads": 2, "views_per_pass": 5, "videos_per_pass": 5, "decode": "device"}


@pytest.mark.parametrize("change", ["views", "weights", "code", "versions", "videos", "frames", *MACHINES])
def test_another_run_never_goes_on_from_the_chunks_of_this_one(models, tmp_path, monkeypatch, caplog, change):
    with monkeypatch.context() as patch:
        kill_after(patch, 20, Killed())
        with pytest.raises(Killed):
            infer(models, tmp_path / "out")
    kwargs = {}
    if change in MACHINES:
        kwargs[change] = MACHINES[change]
    elif change == "views":
        kwargs["tests"] = {"net": ViewConfig(clips=2, sides=(36, 32), crop=32)}
    elif change == "weights":
        shutil.copytree(models[0] / "other", tmp_path / "models" / "net")
        models = tmp_path / "models", models[1]
    elif change == "videos":
        manifest = models[1][0]
        kwargs["corpus"] = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    elif change == "frames":
        monkeypatch.setattr(type(models[1][1]), "content_key", lambda *_: "others")
    else:
        monkeypatch.setattr(fingerprint, change, lambda *_: {"inference/run.py": "another", "torch": "another"})
    (old,) = (tmp_path / "work/infer").iterdir()
    scored = scored_models(monkeypatch)
    caplog.set_level("INFO")
    infer(models, tmp_path / "out", **kwargs)
    assert len(scored) == 38
    assert f"{old} holds unfinished scores of this model with other" in caplog.text


def test_videos_that_share_passes_score_alike_and_to_the_byte_after_a_stop(models, whole, tmp_path, monkeypatch):
    """The chunks of 16, 16 and 6 videos make 4 + 4 + 2 groups; the stop comes in the second chunk."""
    together = infer(models, tmp_path / "undisturbed/out", videos_per_pass=5)
    for split in ("val", "test"):
        found, alone = (ViewScores.read(out, split).logits.astype(np.float32) for out in (together, whole))
        np.testing.assert_allclose(found, alone, atol=2e-3)  # a unit of the stored float16 at 2..4
    with monkeypatch.context() as patch:
        kill_after(patch, 5, int(signal.SIGTERM))
        with pytest.raises(Stopped, match="26 of 38 videos"):
            infer(models, tmp_path / "out", videos_per_pass=5)
    scored = scored_models(monkeypatch)
    assert_same_files(together, infer(models, tmp_path / "out", videos_per_pass=5, workers=3))
    assert len(scored) == 38 - 16 - 10


def test_frames_that_the_device_decodes_give_the_scores_of_those_that_the_workers_decode(models, whole, tmp_path):
    """On a CPU libjpeg decodes both; the resizing may round a pixel otherwise."""
    out = infer(models, tmp_path / "out", decode="device")
    for split in ("val", "test"):
        found, workers = (ViewScores.read(folder, split).logits.astype(np.float32) for folder in (out, whole))
        np.testing.assert_allclose(found, workers, atol=2e-2)
    assert PredictionTable.read(out / "val.parquet").meta["machine"]["decode"] == "device"
    assert_same_files(out, infer(models, tmp_path / "again/out", decode="device", workers=3, devices=1))


def test_a_stop_before_the_first_pass_is_full_keeps_nothing(models, tmp_path, monkeypatch):
    def stop(self, *arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        add(self, *arguments)

    add = Job.add
    monkeypatch.setattr(Job, "add", stop)
    with pytest.raises(Stopped, match="1 of 38 videos"):
        infer(models, tmp_path / "out", videos_per_pass=5)
    assert not list((tmp_path / "work/infer").glob("net-*/*.npy"))


def test_the_progress_bar_is_not_drawn_for_every_video(models, tmp_path, monkeypatch):
    drawn = tiny.bars_drawn(monkeypatch, inference_run)
    infer(models, tmp_path / "out")
    assert 0 < len(drawn) < 5


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["own", pytest.param("torchrun", marks=pytest.mark.nightly)])
def test_two_processes_write_the_files_of_one(models, whole, tmp_path, launcher):
    machine = {"devices": 2} if launcher == "own" else {}
    arguments = [str(SCRIPT), str(models[0].parent), str(tmp_path / "out"), json.dumps(machine)]
    command = torchrun(2, *arguments) if launcher == "torchrun" else [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_files(whole, tmp_path / "out/net")


def test_other_classes_than_those_of_the_model_are_refused(models, tmp_path):
    folder, (manifest, store, statistics) = models
    others = ClassStatistics(("x", "y", "z"), statistics.counts, statistics.videos)
    with pytest.raises(UserError, match="Model net was trained on other classes"):
        infer((folder, (manifest, store, others)), tmp_path / "out")


def test_the_files_say_what_they_are(whole):
    table = PredictionTable.read(whole / "val.parquet")
    assert table.meta["model"] == "net"
    assert table.meta["protocol"] == "multiscale"
    assert table.meta["machine"] == {"device": "cpu", "precision": "32"}
    assert len(table.meta["checkpoint"]) == 64
    assert pd.read_parquet(whole / "val.parquet")["video"].tolist() == [f"val{number}" for number in range(22)]
    assert ViewScores.read(whole, "val").grid["protocols"].keys() == {"clip", "dense", "multiscale"}


@pytest.mark.slow
def test_a_model_of_one_label_a_video_answers_with_softmax_in_files_and_for_new_videos(tmp_path, monkeypatch):
    out, _ = tiny.fit_one_label(tmp_path / "models", "net", tiny.model(epochs=1, loss=LossConfig("auto")))
    corpus = tiny.corpus(tmp_path / "models/one-lmdb", labels=1)
    (tmp_path / "models/one-lmdb").rename(tmp_path / "one-lmdb")
    corpus = corpus[0], FrameStore(tmp_path / "one-lmdb"), corpus[2]
    predictions = infer((out.parent, corpus), tmp_path / "out", tests={"net": VIEWS})
    table, scores = PredictionTable.read(predictions / "val.parquet"), ViewScores.read(predictions, "val")
    assert (table.task, scores.task) == ("single_label", "single_label")
    final = list(scores.grid["protocols"]["multiscale"])
    expected = softmax(scores.logits.astype(np.float64)[:, final], axis=2).mean(axis=1)
    np.testing.assert_array_equal(table.probabilities, expected.astype(np.float32))
    np.testing.assert_allclose(table.probabilities[-1], corpus[2].prior, atol=1e-3)  # a broken one

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"models": {"net": {"test": params.plain(VIEWS)}}}))
    scorer = new_videos.Scorer("net", tmp_path, tiny.machine(tmp_path / "work"))
    np.testing.assert_array_equal(scorer.score(corpus[1], "val0"), table.probabilities[0])
    assert '"task": "single_label"' in new_videos.as_json(Path("a.mp4"), table.probabilities[0], scorer)
