"""A model of flow: it is trained, tested and asked about new videos as those of frames are."""

import argparse
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from pipeline.cli import new_videos, predict, timeline
from pipeline.cli.fused_members import Fusion
from pipeline.cli.new_frames import NewVideos
from pipeline.clips.dataset import MultiViewDataset
from pipeline.clips.frame_store import FrameStore
from pipeline.clips.short_sides import PackConfig
from pipeline.core import params
from pipeline.core.broken_videos import BrokenVideo
from pipeline.core.errors import UserError
from pipeline.extraction.config import ExtractConfig
from pipeline.inference import run as inference_run
from pipeline.inference.predictor import Predictor
from pipeline.predictions.table import PredictionTable
from pipeline.runtime import distributed
from pipeline.runtime.checkpoint import FILE, Checkpoint
from pipeline.training import trainer
from tests.support import tiny, tiny_flow
from tests.support.corpus import ffmpeg
from tests.support.inference import VIEWS, scores_of

pytestmark = pytest.mark.slow  # models are trained
EXTRACT = ExtractConfig(fps=2, short_side=32, jpeg_qscale=2, timeout_seconds=60, shards=1)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A trained model of flow and one of frames, and the predictions of the first."""
    folder = tmp_path_factory.mktemp("flow")
    manifest, store, statistics = tiny_flow.corpus(folder)
    on = tiny.machine(folder / "work")
    state = trainer.fit(tiny_flow.model(epochs=40, lr=0.02), manifest, store, statistics, folder / "models/flow", on)
    frames = FrameStore(folder / "lmdb")
    trainer.fit(tiny.model(epochs=1), manifest, frames, statistics, folder / "models/eye", on)
    data = manifest, store, statistics
    inference_run.run_inference("flow", {"flow": VIEWS}, *data, folder / "models/flow", folder / "predictions", on)
    tests = {name: {"test": params.plain(VIEWS)} for name in ("flow", "eye")}
    made = {"extract": EXTRACT, "pack": PackConfig((32,)), "flow": tiny_flow.CONFIG}
    settings = {name: params.plain(config) for name, config in made.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump({"models": tests, **settings}))
    return folder, state


def scorer(folder, name: str) -> new_videos.Scorer:
    return new_videos.Scorer(name, folder, tiny.machine(folder / "work"))


def chosen(folder, name: str) -> None:
    """Let `pipeline predict` choose who answers."""
    asked = argparse.Namespace(model=name, onnx=None, data=folder)
    predict.chosen(asked, tiny.machine(folder / "work"))


def test_ways_are_learnt_and_the_checkpoint_says_what_it_takes(here):
    folder, state = here
    assert state.history[state.best_epoch]["val_mAP"] > 95
    kept, recipe = Checkpoint.read(folder / "models/flow"), json.loads((folder / "models/flow/recipe.json").read_text())
    assert (kept.input.mean, kept.input.std) == ((0.5, 0.5), (0.226, 0.226))
    assert kept.weights["backbone.conv1.0.weight"].shape[1] == 10
    assert (recipe["clip"]["input"], recipe["clip"]["sampler"]["consecutive"]) == ("flow", 5)
    assert set(recipe["data"]) == {"flow", "labels", "statistics"}
    eye = json.loads((folder / "models/eye/recipe.json").read_text())
    assert "input" not in eye["clip"]
    assert set(eye["data"]) == {"frames", "labels", "statistics"}


def test_the_bytes_do_not_depend_on_workers(here, tmp_path):
    data = tiny_flow.corpus(here[0])
    files = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        trainer.fit(tiny_flow.model(epochs=2), *data, out, tiny.machine(tmp_path / f"w{workers}", workers=workers))
        files.append((out / FILE).read_bytes())
    assert files[0] == files[1]


def test_the_logits_are_those_of_the_network_on_the_stored_flow(here):
    folder, _ = here
    store = tiny_flow.corpus(folder)[1]
    on = tiny.machine(folder / "work")
    tested = Predictor(folder / "models/flow", VIEWS, distributed.launch(on), on)
    (clips,) = MultiViewDataset(["val0"], store, tested.clip.sampler, tested.grid)[0].values()
    assert clips.shape == (len(tested.grid), 2, 2 * 5, 32, 32)
    with torch.inference_mode():
        expected = tested.network((clips / 255 - 0.5) / 0.226).numpy()
    np.testing.assert_allclose(scores_of(tested, store, "val0"), expected, atol=1e-2)


def test_a_video_without_flow_is_unseen_and_holds_the_prior(here):
    folder, _ = here
    statistics = tiny_flow.corpus(folder)[2]
    for split, videos in (("val", 4), ("test", 3)):
        table = PredictionTable.read(folder / f"predictions/{split}.parquet")
        assert table.unseen.tolist() == [False] * (videos - 1) + [True]
        assert not table.broken.any()
        np.testing.assert_allclose(table.probabilities[-1], statistics.prior, atol=1e-3)


def test_weights_of_colours_start_it_and_the_log_says_so(here, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder, _ = here
    config = tiny_flow.model(epochs=1, lr=1e-9, pretrained=str(folder / "models/eye" / FILE))
    trainer.fit(config, *tiny_flow.corpus(folder), tmp_path / "out", tiny.machine(tmp_path / "work"))
    assert "first layer backbone.conv1.0.weight: its mean over red, green and blue, for each channel" in caplog.text
    colours, own = (
        Checkpoint.read(f).weights["backbone.conv1.0.weight"] for f in (folder / "models/eye", tmp_path / "out")
    )
    for channel in range(10):
        torch.testing.assert_close(own[:, channel], (colours[:, 0] + colours[:, 1] + colours[:, 2]) / 3)


def test_changes_of_colour_are_refused():
    config = tiny_flow.model()
    rand = tiny.model().train.augment.__class__("random_side", 32, sides=(32, 40), rand_augment=object())
    with pytest.raises(ValueError, match=r"train\.augment\.rand_augment: must be null"):
        replace(config, train=replace(config.train, augment=rand))


def test_frames_of_the_corpus_get_the_scores_of_the_prediction_files(here, monkeypatch):
    folder, _ = here
    monkeypatch.chdir(folder)
    table = PredictionTable.read(folder / "predictions/val.parquet")
    frames = FrameStore(folder / "lmdb")
    source = NewVideos(jpegs={"val1": [memoryview(bytes(data)) for data in frames.read("val1", range(8))]})
    np.testing.assert_array_equal(scorer(folder, "flow").score(source, "val1"), table.probabilities[1])


def test_new_videos_are_answered_and_one_of_one_frame_is_left_to_the_others(here, monkeypatch):
    folder, _ = here
    monkeypatch.chdir(folder)
    ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=40x32:r=30:d=3", str(folder / "long.mkv")])
    ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=40x32:r=30:d=0.4", str(folder / "one.mkv")])
    config, on, files = EXTRACT, tiny.machine(folder / "work"), [folder / "long.mkv", folder / "one.mkv"]
    flow, eye = scorer(folder, "flow"), scorer(folder, "eye")
    fused = scorer(folder, "flow")
    fused.fusion = Fusion({"flow": 0.25, "eye": 0.75}, "probability", "multiscale", {})
    fused.members = [new_videos.Member(one.members[0].predictor, weight) for one, weight in ((flow, 0.25), (eye, 0.75))]
    answers = {
        name: [found for _, found in new_videos.answers(files, one, config, on)]
        for name, one in (("flow", flow), ("eye", eye), ("fused", fused))
    }
    (one,) = (answer for answer in answers["flow"] if isinstance(answer, BrokenVideo))
    assert (one.reason, one.path) == ("one_frame", str(folder / "one.mkv"))
    np.testing.assert_allclose(answers["fused"][0], 0.25 * answers["flow"][0] + 0.75 * answers["eye"][0], rtol=1e-5)
    np.testing.assert_allclose(answers["fused"][1], answers["eye"][1], rtol=1e-5)
    ((_, places),) = timeline.answers(files[:1], flow, config, on, 1.5, 1.5)
    assert len(list(places)) == 2
    ((_, places),) = timeline.answers(files[1:], flow, config, on, 1.5, 1.5)
    assert list(places) == []


def test_a_folder_of_flow_is_not_that_of_new_videos_and_this_is_said(here, tmp_path, monkeypatch, caplog):
    folder, _ = here
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings | {"flow": settings["flow"] | {"folder": "theirs"}}))
    monkeypatch.chdir(tmp_path)
    chosen(folder, "flow")
    assert "(flow.folder: theirs); that of new videos is computed here" in caplog.text


def test_the_missing_package_is_said_before_a_video_is_opened(here, monkeypatch):
    folder, _ = here
    monkeypatch.chdir(folder)
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UserError, match=r"Optical flow is computed by a package that is missing"):
        chosen(folder, "flow")
    chosen(folder, "eye")
