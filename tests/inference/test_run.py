"""Scores of every view: the same however many processes, workers and models share the work, and after a kill."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipeline import metrics
from pipeline.class_stats import ClassStatistics
from pipeline.clips import dataset, views
from pipeline.clips.dataset import VideoViews
from pipeline.clips.views import ViewConfig
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.inference import predictor, score_cache
from pipeline.inference import run as inference_run
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import PredictionTable, ViewScores
from pipeline.runtime import distributed, fingerprint
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.runtime.signals import Stopped
from pipeline.training.trainer import fit
from tests.support import tiny

VIEWS = ViewConfig(clips=2, sides=(32, 36), crop=32)
SCRIPT = Path(__file__).parents[1] / "support" / "infer_tiny.py"
FILES = [f"{split}.{kind}" for split in ("val", "test") for kind in ("parquet", "views.npy", "views.json")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two models; 21 val and 17 test videos that are there, so three blocks."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = tiny.corpus(folder / "lmdb", val=22, test=18)
    for name, seed in (("net", 0), ("other", 1)):
        fit(tiny.model(epochs=2, seed=seed), *corpus, folder / "models" / name, tiny.machine(folder / "work"))
    return folder / "models", corpus


def infer(trained, to: Path, name: str = "net", tests=None, corpus=None, **machine) -> Path:
    """Run the stage's function with a scratch folder beside `to`; the folder of predictions."""
    models, (manifest, store, statistics) = trained
    machine = tiny.machine(to.parent / "work", **machine)
    tests = tests or {name: VIEWS}
    inference_run.run_inference(name, tests, corpus or manifest, store, statistics, models / name, to / name, machine)
    return to / name


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory) -> Path:
    """The prediction files of an undisturbed run."""
    return infer(trained, tmp_path_factory.mktemp("whole") / "predictions")


def assert_same_files(one: Path, other: Path) -> None:
    for file in FILES:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def prepared(trained, config=VIEWS, scratch=Path("unused"), **machine) -> Predictor:
    machine = tiny.machine(scratch, **machine)
    return Predictor(trained[0] / "net", config, distributed.launch(machine), machine)


def scores_of(chosen: Predictor, store, video: str) -> np.ndarray:
    seen = dataset.see(store, video, [chosen.look])
    return chosen.score(seen.frames, seen.cuts[0])


def test_scores_are_those_of_the_network_on_each_view_by_itself(trained, whole):
    models, (_manifest, store, _statistics) = trained
    checkpoint = Checkpoint.read(models / "net")
    network, spec = tiny.model().build(3)
    network.load_state_dict(checkpoint.weights)
    network.eval()
    grid = views.grid(tiny.model().clip.centre, VIEWS)
    scores, table = ViewScores.read(whole, "val"), PredictionTable.read(whole / "val.parquet")
    assert scores.logits.shape == (22, 1 + 2 * 2 * 3, 3)
    by_size = VideoViews(["val0"], store, tiny.model().clip.sampler, grid)[0]
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    with torch.inference_mode():
        alone = torch.stack([network(((clip / 255 - mean) / std)[None])[0] for clip in by_size[32]])
    np.testing.assert_allclose(scores.logits[0], alone.numpy(), atol=2e-3)
    final = grid.protocols["multiscale"]
    np.testing.assert_allclose(table.probabilities[0], torch.sigmoid(alone)[list(final)].mean(0), atol=1e-3)


def test_protocol_clip_is_what_training_validated_with(trained, tmp_path):
    """Whatever other sides are tested; only the rounding of the stored logits may differ."""
    out = infer(trained, tmp_path / "out", tests={"net": ViewConfig(clips=1, sides=(32, 200), crop=32)})
    table, scores = PredictionTable.read(out / "val.parquet"), ViewScores.read(out, "val")
    validated = Checkpoint.read(trained[0] / "net").recipe["result"]["val_mAP"]
    found = metrics.sample_map(scores.probabilities("clip")[:-1], table.targets()[:-1])  # without the broken one
    assert found == pytest.approx(validated)


def test_a_broken_video_is_answered_with_the_prior_and_keeps_its_place(trained, whole):
    _, (_manifest, _store, statistics) = trained
    table, scores = PredictionTable.read(whole / "test.parquet"), ViewScores.read(whole, "test")
    assert list(table.videos) == [f"test{number}" for number in range(18)]
    assert table.broken.tolist() == [False] * 17 + [True]
    np.testing.assert_allclose(table.probabilities[-1], statistics.prior, atol=1e-3)
    assert (scores.logits[-1] == scores.logits[-1, :1]).all()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_byte(trained, whole, tmp_path, workers):
    assert_same_files(whole, infer(trained, tmp_path / "out", workers=workers))


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_the_size_of_a_pass_changes_rounding_only(trained, most):
    store = trained[1][1]
    expected = scores_of(prepared(trained), store, "val0").astype(np.float32)
    found = scores_of(prepared(trained, views_per_pass=most), store, "val0").astype(np.float32)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # a unit of the stored float16 at 2..4


def test_no_pass_is_larger_than_asked_for(trained, monkeypatch):
    chosen = prepared(trained, views_per_pass=5)
    sizes = []
    chosen.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    scores_of(chosen, trained[1][1], "val0")
    assert sizes == [5, 5, 3]


def test_without_a_setting_a_pass_is_bounded_by_its_pixels(trained, monkeypatch):
    monkeypatch.setattr(predictor, "PIXELS", 2 * 32 * 32 * 4)  # frames x side x side x 4 views
    chosen = prepared(trained)
    sizes = []
    chosen.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    scores_of(chosen, trained[1][1], "val0")
    assert sizes == [4, 4, 4, 1]


def test_the_order_of_the_videos_changes_no_score(trained, whole, tmp_path):
    manifest = trained[1][0]
    turned = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    out = infer(trained, tmp_path / "out", corpus=turned)
    for split in ("val", "test"):
        np.testing.assert_array_equal(ViewScores.read(out, split).logits[::-1], ViewScores.read(whole, split).logits)
        assert PredictionTable.read(out / f"{split}.parquet").videos[0] == manifest.split(split).videos[-1]


def test_views_that_show_the_same_are_computed_once_and_stored_every_time(trained):
    """A video of 6 frames has 3 pairs; of 5 clips of 2 segments some are the same, and at 40 x 32 no crop is."""
    store = trained[1][1]
    config = ViewConfig(clips=5, sides=(32,), crop=None)
    chosen = prepared(trained, config)
    batches = []
    chosen.network.register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    found = scores_of(chosen, store, "val0")

    pixels = VideoViews(["val0"], store, chosen.look.sampler, chosen.grid)[0][32]
    distinct = {view.numpy().tobytes() for view in pixels}
    assert sum(batches) == len(distinct) == 3 * 3
    assert found.shape == (16, 3)
    with torch.inference_mode():
        every = chosen.network(predictor.normalise(pixels, chosen.checkpoint.input)).numpy()
    np.testing.assert_allclose(found.astype(np.float32), every, atol=2e-3)
    for one in distinct:
        same = [k for k, view in enumerate(pixels) if view.numpy().tobytes() == one]
        assert (found[same] == found[same[0]]).all()


def test_how_many_views_are_distinct_is_told(trained, tmp_path, caplog):
    caplog.set_level("INFO")
    infer(trained, tmp_path / "out", tests={"net": ViewConfig(clips=5, sides=(32,), crop=None)})
    assert "net: 9.0 of the 16 views of a video are distinct" in caplog.text
    assert "scored 38 videos in" in caplog.text


def test_random_crops_are_a_function_of_seed_video_and_view(trained, tmp_path):
    def logits(seed: int, to: str, workers: int = 1) -> np.ndarray:
        config = ViewConfig(clips=1, sides=(36,), crop=32, crops="random", seed=seed)
        out = infer(trained, tmp_path / to, tests={"net": config}, workers=workers)
        assert json.loads((out / "val.views.json").read_text())["seed"] == seed
        return np.array(ViewScores.read(out, "val").logits)

    first, again, other = logits(0, "a"), logits(0, "b", workers=3), logits(1, "c")
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:, 0], other[:, 0])  # the centre clip is not drawn
    assert (first[:-1, 1:] != other[:-1, 1:]).mean() > 0.5


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def kill_after(monkeypatch, videos: int, how: Exception | int) -> None:
    """Let so many videos be scored."""
    original, scored = Predictor.score, []

    def score(self, *arguments):
        if len(scored) == videos:
            if not isinstance(how, int):
                raise how
            os.kill(os.getpid(), how)
        scored.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(Predictor, "score", score)


def scored_models(monkeypatch) -> list[str]:
    """The model of every video that is scored from now on."""
    seen = []
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda self, *a: seen.append(self.name) or original(self, *a))
    return seen


@pytest.mark.parametrize("videos", [0, 15, 16, 32, 37])
def test_a_run_that_was_killed_goes_on_with_the_same_bytes(trained, whole, tmp_path, monkeypatch, videos):
    with monkeypatch.context() as patch:
        kill_after(patch, videos, Killed())
        with pytest.raises(Killed):
            infer(trained, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept = list((tmp_path / "work/infer").glob("net-*/*.npy"))
    assert len(kept) == videos // score_cache.SIZE

    scored = []
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1) or original(*a))
    assert_same_files(whole, infer(trained, tmp_path / "out"))
    assert len(scored) == 38 - videos // score_cache.SIZE * score_cache.SIZE
    assert not any((tmp_path / "work/infer").iterdir()), "finished blocks are deleted when all is written"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_loses_no_video(trained, whole, tmp_path, monkeypatch, number):
    with monkeypatch.context() as patch:
        kill_after(patch, 19, int(number))
        with pytest.raises(Stopped, match="20 of 38 videos") as stopped:
            infer(trained, tmp_path / "out")
    assert stopped.value.status == 128 + number
    scored = []
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1) or original(*a))
    assert_same_files(whole, infer(trained, tmp_path / "out"))
    assert len(scored) == 18


def test_a_damaged_block_is_made_again(trained, whole, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        kill_after(patch, 20, Killed())
        with pytest.raises(Killed):
            infer(trained, tmp_path / "out")
    (block,) = (tmp_path / "work/infer").glob("net-*/*.npy")
    block.write_bytes(block.read_bytes()[:-9])
    assert_same_files(whole, infer(trained, tmp_path / "out"))
    assert "is damaged" in caplog.text


MACHINES = {"precision": "bf16", "threads": 2, "views_per_pass": 5}


@pytest.mark.parametrize("change", ["views", "weights", "code", "versions", "videos", "frames", *MACHINES])
def test_another_run_never_goes_on_from_the_blocks_of_this_one(trained, tmp_path, monkeypatch, caplog, change):
    with monkeypatch.context() as patch:
        kill_after(patch, 20, Killed())
        with pytest.raises(Killed):
            infer(trained, tmp_path / "out")
    kwargs = {}
    if change in MACHINES:
        kwargs[change] = MACHINES[change]
    elif change == "views":
        kwargs["tests"] = {"net": ViewConfig(clips=2, sides=(36, 32), crop=32)}
    elif change == "weights":
        shutil.copytree(trained[0] / "other", tmp_path / "models" / "net")
        trained = tmp_path / "models", trained[1]
    elif change == "videos":
        manifest = trained[1][0]
        kwargs["corpus"] = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    elif change == "frames":
        monkeypatch.setattr(type(trained[1][1]), "content_key", lambda self: "others")
    else:
        changed = {"code": "files", "versions": "versions"}[change]
        monkeypatch.setattr(fingerprint, changed, lambda *_: {"inference.py": "another", "torch": "another"})
    (old,) = (tmp_path / "work/infer").iterdir()
    scored = scored_models(monkeypatch)
    caplog.set_level("INFO")
    infer(trained, tmp_path / "out", **kwargs)
    assert len(scored) == 38
    assert f"{old} holds unfinished scores of this model with other" in caplog.text


def test_mixed_precision_is_used_where_the_machine_says_so(trained):
    store = trained[1][1]
    full = scores_of(prepared(trained), store, "val0").astype(np.float32)
    mixed = scores_of(prepared(trained, precision="bf16"), store, "val0").astype(np.float32)
    assert (mixed != full).any()
    np.testing.assert_allclose(mixed, full, atol=0.1)


BOTH = {"net": VIEWS, "other": ViewConfig(clips=3, sides=(34,), crop=None)}


def test_models_that_share_a_pass_give_the_files_of_each_by_itself(trained, whole, tmp_path, monkeypatch):
    alone = infer(trained, tmp_path / "alone" / "out", "other", {"other": BOTH["other"]})
    reads = []
    store = type(trained[1][1])
    original = store.read
    monkeypatch.setattr(store, "read", lambda s, v, i: reads.append(v) or original(s, v, i))

    first = infer(trained, tmp_path / "out", "net", BOTH, workers=1)
    assert_same_files(whole, first)
    assert not (tmp_path / "out/other").exists(), "its own stage writes them"
    scored = []
    monkeypatch.setattr(Predictor, "score", lambda *a: scored.append(1))
    second = infer(trained, tmp_path / "out", "other", BOTH)
    assert scored == [], "the first stage has scored them"
    assert_same_files(alone, second)
    assert not any((tmp_path / "work/infer").iterdir())


def test_shared_passes_go_on_after_a_kill(trained, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 2 * 20 + 1, Killed())
        with pytest.raises(Killed):
            infer(trained, tmp_path / "out", "net", BOTH)
    alone = infer(trained, tmp_path / "alone" / "out", "other", {"other": BOTH["other"]})
    assert_same_files(whole, infer(trained, tmp_path / "out", "net"))  # without the other, whose first block stays
    assert_same_files(alone, infer(trained, tmp_path / "out", "other", BOTH))


def test_a_model_whose_predictions_are_there_is_not_scored_again(trained, tmp_path, monkeypatch):
    infer(trained, tmp_path / "out", "other", {"other": BOTH["other"]})
    seen = set()
    original = Predictor.score
    monkeypatch.setattr(Predictor, "score", lambda self, *a: seen.add(self.name) or original(self, *a))
    infer(trained, tmp_path / "out", "net", BOTH)
    assert seen == {"net"}
    infer(trained, tmp_path / "out", "net", {**BOTH, "other": VIEWS})
    assert seen == {"net", "other"}, "other views are another matter"


def folder_of(trained, tmp_path, monkeypatch, name: str, **machine) -> Path:
    """Where the blocks of a run of `infer` lie, which scores nothing."""
    with monkeypatch.context() as patch:
        kill_after(patch, 0, Killed())
        with pytest.raises(Killed):
            infer(trained, tmp_path / "out", name, {name: BOTH[name]}, **machine)
    (folder,) = (tmp_path / "work/infer").glob(f"{name}-*")
    return folder


def test_a_model_that_another_run_is_at_is_left_to_it(trained, tmp_path, monkeypatch):
    seen = scored_models(monkeypatch)
    with score_cache.hold(folder_of(trained, tmp_path, monkeypatch, "other")):
        infer(trained, tmp_path / "out", "net", BOTH)
    assert set(seen) == {"net"}


def test_a_run_waits_for_another_that_is_at_its_model(trained, whole, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    folder, scored = folder_of(trained, tmp_path, monkeypatch, "net"), scored_models(monkeypatch)
    pauses = []
    with ExitStack() as other:
        assert other.enter_context(score_cache.hold(folder))

        def pause(seconds):
            pauses.append((seconds, len(scored)))
            if len(pauses) == 3:
                other.close()

        monkeypatch.setattr(inference_run.time, "sleep", pause)
        assert_same_files(whole, infer(trained, tmp_path / "out"))
    assert pauses == [(inference_run.PAUSE, 0)] * 3
    assert caplog.text.count("waiting for another run") == 1


def test_a_model_that_is_done_before_its_lock_is_had_is_not_scored_twice(trained, tmp_path, monkeypatch):
    """The other model's own stage ends while this one waits for nothing more than its lock."""
    original, seen = inference_run._hold, scored_models(monkeypatch)

    def late(job, held, fabric, *, wait):
        if job.predictor.name == "other":
            with monkeypatch.context() as patch:
                patch.setattr(inference_run, "_hold", original)
                infer(trained, tmp_path / "out", "other", {"other": BOTH["other"]})
            seen.clear()
        return original(job, held, fabric, wait=wait)

    monkeypatch.setattr(inference_run, "_hold", late)
    infer(trained, tmp_path / "out", "net", BOTH)
    assert set(seen) == {"net"}
    assert not any((tmp_path / "work/infer").iterdir())


@pytest.mark.parametrize("other", ["weights", "videos"])
def test_predictions_of_other_weights_or_videos_are_made_anew(trained, tmp_path, monkeypatch, other):
    models, corpus = trained
    infer(trained, tmp_path / "out", "other", {"other": BOTH["other"]})
    manifest = corpus[0]
    if other == "weights":
        shutil.copytree(models, tmp_path / "models")
        shutil.copy(models / "net" / FILE, tmp_path / "models" / "other" / FILE)
        models = tmp_path / "models"
    else:  # as many
        manifest = Manifest(manifest.table.iloc[::-1].reset_index(drop=True), manifest.classes)
    seen = scored_models(monkeypatch)
    infer((models, corpus), tmp_path / "out", "net", BOTH, corpus=manifest)
    assert seen.count("other") == 38


def test_a_broken_companion_does_not_stop_the_stage(trained, whole, tmp_path, caplog):
    caplog.set_level("INFO")
    models = tmp_path / "models"
    shutil.copytree(trained[0], models)
    (models / "other" / "model.safetensors").write_bytes(b"damaged")
    out = infer((models, trained[1]), tmp_path / "out", "net", {**BOTH, "untrained": VIEWS})
    assert_same_files(whole, out)
    assert "without other:" in caplog.text


def test_a_companion_that_fails_while_it_scores_does_not_stop_the_stage(trained, whole, tmp_path, monkeypatch, caplog):
    original, seen = Predictor.score, []

    def score(self, *arguments):
        seen.append(self.name)
        if seen.count("other") == 20 and self.name == "other":
            raise RuntimeError("no such kernel")
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "score", score)
        assert_same_files(whole, infer(trained, tmp_path / "out", "net", BOTH))
    assert (seen.count("net"), seen.count("other")) == (38, 20)
    assert "without other, which fails: no such kernel" in caplog.text

    alone = infer(trained, tmp_path / "alone" / "out", "other", {"other": BOTH["other"]})
    seen = scored_models(monkeypatch)
    assert_same_files(alone, infer(trained, tmp_path / "out", "other", {"other": BOTH["other"]}))
    assert len(seen) == 38 - 16, "its finished block is kept, and no other"


def test_the_own_model_that_fails_ends_the_stage(trained, tmp_path, monkeypatch):
    kill_after(monkeypatch, 2, RuntimeError("no such kernel"))
    with pytest.raises(RuntimeError, match="no such kernel"):
        infer(trained, tmp_path / "out", "net", {"net": VIEWS})


def test_a_pass_that_does_not_fit_names_the_setting(trained, monkeypatch):
    chosen = prepared(trained, views_per_pass=5)

    def full(module, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    chosen.network.register_forward_pre_hook(full)
    with pytest.raises(UserError, match=r"Model net: a pass of 5 views .*machine.views_per_pass.*allocate 2 GiB"):
        scores_of(chosen, trained[1][1], "val0")


def test_the_progress_bar_is_not_drawn_for_every_video(trained, tmp_path, monkeypatch):
    drawn = tiny.bars_drawn(monkeypatch, inference_run)
    infer(trained, tmp_path / "out")
    assert 0 < len(drawn) < 5


def launched(processes: int, *arguments: str) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--nproc-per-node", str(processes), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, "-m", "torch.distributed.run", *options, *arguments]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["own", "torchrun"])
def test_two_processes_write_the_files_of_one(trained, whole, tmp_path, launcher):
    models, _ = trained
    machine = {"devices": 2} if launcher == "own" else {}
    arguments = [str(SCRIPT), str(models.parent), str(tmp_path / "out"), json.dumps(machine)]
    command = launched(2, *arguments) if launcher == "torchrun" else [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_files(whole, tmp_path / "out/net")


def two_processes(folder: str | Path, out: Path, *names: str, **machine) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), str(folder), str(out), json.dumps({"devices": 2} | machine), *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_nodes_that_do_not_share_the_scratch_folder_are_refused(trained, tmp_path):
    scratch = tmp_path / "work-{rank}"
    done = two_processes(trained[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr

    (folder,) = (tmp_path / "work-0/infer").glob("net-*")  # a lock was left on both, and blocks on one
    other = tmp_path / "work-1/infer" / folder.name
    shutil.copytree(folder, other)
    np.save(other / "000000.npy", np.zeros((16, 13, 3), np.float16))
    done = two_processes(trained[0].parent, tmp_path / "out", scratch=str(scratch))
    assert done.returncode
    assert "machine.scratch must name a folder that all nodes share" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_companion_that_one_process_does_not_see_is_left_out_by_all(trained, whole, tmp_path):
    for rank in (0, 1):
        shutil.copytree(trained[0].parent, tmp_path / f"node-{rank}")
    shutil.rmtree(tmp_path / "node-1/models/other")
    done = two_processes(tmp_path / "node-{rank}", tmp_path / "out", "net", "other")
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_files(whole, tmp_path / "out/net")
    assert not any((tmp_path / "work/infer").iterdir())


def test_other_classes_than_those_of_the_model_are_refused(trained, tmp_path):
    models, (manifest, store, statistics) = trained
    others = ClassStatistics(("x", "y", "z"), statistics.counts, statistics.videos)
    with pytest.raises(UserError, match="Model net was trained on other classes"):
        infer((models, (manifest, store, others)), tmp_path / "out")


def test_a_checkpoint_that_does_not_fit_its_architecture_is_refused(trained, tmp_path):
    checkpoint = Checkpoint.read(trained[0] / "net")
    weights = dict(checkpoint.weights)
    del weights["backbone.bn1.weight"]
    Checkpoint(weights, checkpoint.recipe, checkpoint.classes, checkpoint.input).write(tmp_path / "net")
    with pytest.raises(
        UserError, match=r"(?s)does not fit pipeline/models/tsn.py.*Missing key.*dvc repro --force train@net"
    ):
        prepared((tmp_path, None))


def test_scores_that_are_not_finite_are_refused(trained, tmp_path, monkeypatch):
    class Broken(nn.Module):
        def forward(self, clip):
            return torch.full((len(clip), 3), float("nan"))

    monkeypatch.setattr(predictor, "_rebuild", lambda *_: Broken())
    with pytest.raises(UserError, match="Model net gives scores that are not finite"):
        infer(trained, tmp_path / "out")
    assert not (tmp_path / "out/net").exists()
    assert not any((tmp_path / "work/infer").iterdir())


def test_the_files_say_what_they_are(whole):
    table = PredictionTable.read(whole / "val.parquet")
    assert table.meta["model"] == "net"
    assert table.meta["protocol"] == "multiscale"
    assert table.meta["machine"] == {"device": "cpu", "precision": "32"}
    assert len(table.meta["checkpoint"]) == 64
    assert pd.read_parquet(whole / "val.parquet")["video"].tolist() == [f"val{number}" for number in range(22)]
    assert ViewScores.read(whole, "val").grid["protocols"].keys() == {"clip", "dense", "multiscale"}
