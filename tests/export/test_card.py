"""The model card: figures of the very weights or none, where they come from, and code that computes the right thing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli.new_videos import Scorer
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.short_sides import PackConfig
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.machine import load_machine
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.ensemble import averaging
from pipeline.export import card, description, figures
from pipeline.export.description import FusionDescription, MemberFile
from pipeline.export.figures import Figure, Figures
from pipeline.extraction.config import ExtractConfig
from pipeline.predictions.table import PredictionTable
from tests.support import tiny_flow, tiny_sound

ENDS = {"val_multiscale": (61.25, 60.0, 63.0), "test_multiscale": (58.0, 55.5, 59.0)}
NOTHING = Figures("sample mAP", (), {})


@pytest.fixture
def measured(tmp_path):
    """The outs of a run that tested the weights "abc" of `net`."""
    meta = {"model": "ensemble", "checkpoints": {"net": "abc", "other": "def"}}
    table = PredictionTable(("v",), np.array([False]), ("a",), ("a", "b"), np.full((1, 2), 0.5, np.float32), meta)
    (tmp_path / "ensemble").mkdir()
    table.write(tmp_path / "ensemble/val.parquet")
    ends = {
        f"net_{key}_{end}": v for key, (_, *two) in ENDS.items() for end, v in zip(("low", "high"), two, strict=True)
    }
    ends |= {"ensemble_val_crossfit_low": 69.0, "ensemble_val_crossfit_high": 72.0}
    ends |= {"ensemble_test_low": 70.0, "ensemble_test_high": 73.0}
    flat = {
        "net": {key: value for key, (value, _, _) in ENDS.items()},
        "interval": ends,
        "ensemble": {"val": 99.0, "val_crossfit": 70.5, "test": 71.5},
        "prior": {"val": 45.0, "val_low": 40.0, "val_high": 50.0, "test": 46.0, "test_low": 41.0, "test_high": 51.0},
        "chance": {"val": 9.0, "val_low": 0.0, "val_high": 19.5},
        "videos": {"val_n_expected": 12, "test_n_expected": 9},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(flat))
    return tmp_path


@pytest.fixture
def told(project):
    predictor = Scorer("net", project / "data", load_machine()).members[0].predictor
    return description.of(predictor, ExtractConfig(30, 48, 2, 60, 1), PackConfig((48,)))


@pytest.fixture
def told_of_sound(hearing):
    predictor = Scorer("ear", hearing / "data", load_machine()).members[0].predictor
    return description.of(predictor, ExtractConfig(30, 48, 2, 60, 1), PackConfig((48,)))


def test_it_says_what_a_model_hears(told_of_sound):
    text = card.of_model(told_of_sound, {"data": {"sound": "s1", "labels": "l2"}}, NOTHING, {".onnx": 0.0})

    assert text.startswith("# ear\n\nA classifier of the sound of videos: a network `audio_cnn` that gives a logit")
    assert "* sound: mono, 16000 samples a second; a window has 6400, 0.4 s, and a shorter sound begins again" in text
    assert "64 bands from 50 to 8000 Hz" in text
    assert "* layout: int16 (windows, 6400), any number of windows" in text
    assert "is the mean of the probabilities of 2 windows, evenly spaced (`grid`" in text
    assert "Fingerprints of its sound and labels: s1, l2." in text
    one = card.of_model(replace(told_of_sound, protocol="clip"), {}, NOTHING, {".pt2": 0.0})
    assert "is that of its middle (`grid`" in one
    assert "`torch.export.load('ear.pt2').module()(sounds)` gives the logits of windows (see below)." in one


def test_an_ensembles_code_feeds_each_member_what_it_takes(told, told_of_sound):
    for hear, said in (
        (False, ["np.float32"]),
        (True, ["np.int16"]),
        (None, ["np.float32", "np.int16", 'if member["']),
    ):
        members = tuple(
            MemberFile(name, f"{name}.onnx", "0", takes)
            for name, takes in (("net", "frames"), ("ear", "sound"))
            if hear in (None, takes == "sound")
        )
        fused = FusionDescription(members, ((0.5,),) * len(members), "probability", "dense", MULTI_LABEL, ("a",))
        recipes = {member.model: {} for member in members}
        differences = dict.fromkeys([*recipes, "ensemble.onnx"], 0.0)
        firsts = [told_of_sound if hear else told]
        text = card.of_ensemble(fused, firsts, recipes, NOTHING, differences)
        code = text.split("```python\n")[1].split("```")[0]
        compile(code, "card", "exec")
        assert {part for part in ("np.float32", "np.int16", 'if member["') if part in code} == set(said)
        assert ('logits["sees"]' in code) == (hear is not False)
        assert ("`sees` (videos, members) is false in a video without sound, for `ear`: the" in text) == (
            hear is not False
        )


def test_figures_are_those_of_the_weights(measured):
    found = figures.of_model(measured, "net", MULTI_LABEL, "abc", {})

    assert found.rows == (
        Figure("val", "multiscale", 61.25, (60.0, 63.0)),
        Figure("test", "multiscale", 58.0, (55.5, 59.0)),
        Figure("val", "class prior", 45.0, (40.0, 50.0)),
        Figure("val", "random answers", 9.0, (0.0, 19.5)),
        Figure("test", "class prior", 46.0, (41.0, 51.0)),
    )
    assert (found.metric, found.videos) == ("sample mAP", {"val": 12, "test": 9})
    assert figures.of_model(measured, "net", MULTI_LABEL, "trained again", {}).rows == ()
    assert figures.of_model(measured / "elsewhere", "net", MULTI_LABEL, "abc", {}).rows == ()


def test_the_ensembles_figure_on_val_is_not_that_of_the_videos_that_chose_its_weights(measured):
    found = figures.of_ensemble(measured, SINGLE_LABEL, {"net": "abc", "other": "def"}, [{}])

    told = [(row.split, row.value, row.ends) for row in found.rows if "weights" in row.what]
    assert told == [("val", 70.5, (69.0, 72.0)), ("test", 71.5, (70.0, 73.0))]
    assert figures.of_ensemble(measured, SINGLE_LABEL, {"net": "abc", "other": "again"}, [{}]).rows == ()


FRAMES, SOUND, FLOW = {"side": 40}, {"input": "sound"}, {"input": "flow"}


@pytest.mark.parametrize(
    ("clips", "train"),
    [([FRAMES], 3), ([SOUND], 2), ([FLOW], 1), ([SOUND, FLOW], 3), ([FRAMES, SOUND, SOUND], 4)],
)
def test_train_videos_are_those_that_a_model_could_learn_from(measured, clips, train):
    """Of four, d is broken and a and d have sound; b alone has flow. v, of val, has all of that."""
    splits = {"a": "train", "b": "train", "c": "train", "d": "train", "v": "val", "t": "test"}
    records = [VideoRecord(video, split, f"{video}.mp4", "x", "1-x") for video, split in splits.items()]
    Manifest.from_records(records, ["x"]).write(measured / "manifest.tsv", measured / "classes.txt")
    write_broken(measured / "broken.tsv", [BrokenVideo("d", "train", "d.mp4", "empty", "0 bytes")])
    tiny_sound.write(measured / "sound", {video: np.zeros(9, np.int16) for video in "adv"})
    tiny_flow.pack(measured / "flow", {"s0": {video: tiny_flow.moving(1, 0, 2, height=16, width=16) for video in "bv"}})

    assert figures.of_ensemble(measured, MULTI_LABEL, {"net": "abc"}, clips).videos == {
        "train": train, "val": 12, "test": 9,
    }  # fmt: skip
    if len(clips) == 1:
        assert figures.of_model(measured, "net", MULTI_LABEL, "abc", clips[0]).videos["train"] == train


def test_it_says_what_the_figures_are_and_that_there_are_none(measured, told):
    text = card.of_model(told, {}, figures.of_model(measured, "net", MULTI_LABEL, "abc", {}), {".onnx": 2e-7})

    assert "Sample mAP in percent; videos: 12 val, 9 test." in text
    line, prior, chance = (line for line in text.splitlines() if line.startswith("| val"))
    assert " ".join(prior.split()) == "| val | class prior | 45.00 | 40.00 to 50.00 |"
    assert " ".join(chance.split()) == "| val | random answers | 9.00 | 0.00 to 19.50 |"
    assert line.split() == ["|", "val", "|", "multiscale", "|", "61.25", "|", "60.00", "to", "63.00", "|"]
    assert "None: the run has not tested these weights" in card.of_model(told, {}, NOTHING, {".onnx": 2e-7})


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "started from random values. The recipe names no licence."),
        ({"train": {"pretrained": "imagenet"}}, "started from `imagenet`. The recipe names no licence."),
        ({"licence": "mit"}, "Licence of the weights it started from: mit."),
        ({"licence": "CC BY-NC 4.0"}, "CC BY-NC 4.0 - NON-COMMERCIAL, and so is what is trained from them."),
        ({"data": {"frames": "f1", "labels": "l2"}}, "Fingerprints of its frames and labels: f1, l2."),
        (
            {"data": {"features": "f1", "labels": "l2", "groups": "g3"}},  # a probe's or an encoder's
            "Fingerprints of its features and labels: f1, l2.",
        ),
        (
            {"pretrained": {"source": "timm"}, "options": {"backbone": "vit_base_patch16_dinov3.lvd1689m"}},
            "timm's weights of `vit_base_patch16_dinov3.lvd1689m` are under: dinov3-license.",
        ),
        (
            {"pretrained": {"source": "timm"}, "options": {"backbone": "convnextv2_base.fcmae_ft_in22k_in1k"}},
            "are under: cc-by-nc-4.0 - NON-COMMERCIAL, and so is what is trained from them.",
        ),
        ({"pretrained": {"source": "timm"}, "options": {"backbone": "gone"}}, "The recipe names no licence."),
        ({"pretrained": {"source": "cadene"}, "options": {"backbone": "resnet50"}}, "The recipe names no licence."),
    ],
)
def test_it_says_where_the_weights_come_from(told, recipe, said):
    assert said in card.of_model(told, recipe, NOTHING, {".onnx": 0.0})


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("clip", "is that of one clip from its middle, cropped at the centre (`grid`"),
        ("dense", "is the mean of the probabilities of 6 clips: 2 along time, at each size, with 3 crops (`grid`"),
    ],
)
def test_it_says_which_views_are_averaged(told, protocol, said):
    text = card.of_model(replace(told, protocol=protocol), {}, NOTHING, {".onnx": 0.0})
    assert f"* views: the answer of a video {said}" in text


def test_it_counts_the_consecutive_frames_of_each_place(told):
    differing = replace(told, sampler=SamplerConfig("segments", 2, consecutive=6))
    text = card.of_model(differing, {}, NOTHING, {".onnx": 0.0})
    assert "* clip: 12 frames, 6 consecutive ones of each of 2 equal parts of the video" in text
    assert "* layout: float32 (clips, 3, 12, height, width)" in text
    assert "np.zeros((1, 3, 12, 32, 32), np.uint8)" in text


@pytest.mark.parametrize("task", [MULTI_LABEL, SINGLE_LABEL])
def test_its_code_makes_probabilities_of_the_task(told, task):
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
    text = card.of_model(replace(told, task=task), {}, NOTHING, {".onnx": 0.0})
    (line,) = (line for line in text.splitlines() if line.startswith("probabilities = "))
    names = {"np": np, "logits": logits}

    exec(line, names)  # noqa: S102 - what a reader would paste

    wanted = averaging.softmax(logits) if task == SINGLE_LABEL else 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(names["probabilities"], wanted)
