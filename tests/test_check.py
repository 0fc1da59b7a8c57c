"""Whatever is wrong with params.yaml is said by its dotted path, all of it at once, before anything runs."""

import copy
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.check import check, doubts, problems
from pipeline.cli import compose
from pipeline.core.errors import UserError
from pipeline.models import tin
from pipeline.runtime.checkpoint import Checkpoint

ROOT = Path(__file__).parents[1]
COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text())
FEW = ("tsn_demo", "tin_demo")
RIGHT = {
    **COMMITTED,
    "models": {name: COMMITTED["models"][name] for name in FEW},
    "sound": [],
    "ensemble": {**COMMITTED["ensemble"], "members": list(FEW)},
}
"""The committed settings with two of the models, neither of which hears: that is quicker."""
GONE = "(left out)"
"""Stands for a setting that is not there."""
TIN = "models.tin_demo"
WRONG = [
    # the setting, its value, the path that is reported, and what is said
    ("extrct", {}, "extrct", "there is no such section. Did you mean 'extract'?"),
    ("ensemble", GONE, "ensemble", "this section is missing"),
    ("models", {}, "models", "at least one model"),
    ("dataset.format", "foldr", "dataset.format", "Did you mean 'folder'?"),
    ("dataset.root", "/nowhere", "dataset.root", "no folder /nowhere"),
    ("dataset.annotations", "/nowhere.csv", "dataset.annotations", "no file /nowhere.csv"),
    ("dataset.classes", "/nowhere.txt", "dataset.classes", "no file /nowhere.txt"),
    ("dataset.generated", ["dmeo"], "dataset", "generated is [demo]"),
    ("dataset.val_share", 0.9, "dataset", "val_share and test_share must"),
    ("dataset.folds", 1, "dataset", "folds must be 0, for none, or 2 to 10"),
    ("dataset.folds", 11, "dataset", "folds must be 0, for none, or 2 to 10"),
    ("folds", GONE, "folds", "not those of dataset.folds: 0"),
    ("dataset.split_seed", "zero", "dataset.split_seed", "must be of type int, not 'zero'"),
    ("dataset.flip", "maybe", "dataset.flip", "must be of type bool or 'auto' or list, not 'maybe'"),
    ("dataset.flip", [["a", "b"], ["c"]], "dataset.flip[1]", "must have 2 entries, not 1"),
    ("dataset.flip", [["a", "b"], ["b", "c"]], "dataset.flip", "'b' stands in it twice"),
    ("sound", ["mono"], "sound", "must be [], as no model hears"),
    ("flow.by", ["dis"], "flow.by", "must be [], as no model takes flow"),
    ("flow.by", ["tvl1"], "flow.by[0]", "must be one of 'dis', not 'tvl1'"),
    ("flow.preset", "slow", "flow.preset", "must be one of 'ultrafast', 'fast', 'medium', not 'slow'"),
    ("flow.short_side", 15, "flow", "short_side must be 16 pixels or more, or null, not 15"),
    ("flow.bound", 0, "flow", "bound must be above 0 and at most 1000 pixels, not 0"),
    ("flow.quality", 101, "flow", "quality must lie in 1 .. 100 (best), not 101"),
    ("flow.folder", 3, "flow.folder", "must be of type str, not 3"),
    ("demo", GONE, "demo", "this section is missing, and dataset.generated asks for it"),
    ("demo.train", 2, "demo", "train must be at least"),
    ("demo.tran", 900, "demo.tran", "Did you mean 'train'?"),
    ("extract.fps", GONE, "extract.fps", "this setting is missing"),
    ("extract.fps", 0, "extract", "fps must be at least 1, not 0"),
    ("extract.short_side", 65, "extract", "short_side must be an even number"),
    ("extract.timeout_seconds", -1, "extract", "timeout_seconds must be greater than 0"),
    ("pack.short_sides", [320, 160], "pack.short_sides", "must begin with extract.short_side, 64, not 320"),
    ("pack.short_sides", [64, 64], "pack", "in descending order, not [64, 64]"),
    ("infer.together", "perhaps", "infer.together", "must be of type bool"),
    ("report.strips_megabytes", -1, "report", "strips_megabytes must be between 0 and 1000"),
    ("ensemble.members", ["tsn_demo", "tin_dem"], "ensemble.members", "'tin_dem' is no model"),
    ("ensemble.members", ["."], "ensemble.members", "'.' is no model"),
    ("ensemble.members", ["prior"], "ensemble", "needs another name"),
    ("ensemble.weights", "gready", "ensemble.weights", "Did you mean 'greedy'?"),
    ("ensemble.given", {"tsn_demo": 1.0}, "ensemble", "given holds the weights with `weights: given`"),
    ("ensemble.subsets.slow", ["slow*", "fasst*"], "ensemble.subsets.slow", "no model is called 'fasst*'"),
    ("ensemble.subsets.pair", ["tsn_demo", "tin_dem"], "ensemble.subsets.pair", "Did you mean 'tin_demo'?"),
    ("ensemble.folds", 1, "ensemble", "folds must be at least 2"),
    ("ensemble.seed", -1, "ensemble", "seed must not be negative"),
    ("machine.ffmpeg", "/no/such/ffmpeg", "machine.ffmpeg", "FFmpeg does not run"),
    ("machine.logger", "tensorbord", "machine.logger", "not 'tensorbord'"),
    ("machine.logger", ["mlflow", "none"], "machine.logger[1]", "not 'none'"),
    ("machine.precision", "fp8", "machine.precision", "must be one of '32', 'bf16', 'fp16'"),
    ("machine.threads", 0, "machine", "threads must be at least 1"),
    ("machine.clips_per_device", 0, "machine", "clips_per_device must be 1 or more"),
    ("machine", {**COMMITTED["machine"], "precision": "fp16", "accelerator": "cpu"}, "machine", "fp16 needs a GPU"),
    (f"{TIN}.train.seed", 2**31, f"{TIN}.train", "seed must lie in 0 .. 2147483647"),
    (f"{TIN}.train.train_sample", -1, f"{TIN}.train", "train_sample must be 0 or more"),
    (f"{TIN}.train.pretrained", "timm:resnet18", f"{TIN}.train.pretrained", "checkpoint timm:resnet18 --save"),
    (f"{TIN}.train.optim.name", "bnbadam8bit", f"{TIN}.train.optim.name", "not to be had on this machine"),
    ("models.tsn_demo.options.backbone_options", {"channels": [1, 2]}, "models.tsn_demo.clip.sampler.frames", "layer3"),
    (f"{TIN}.options.input", "rgbdiff", f"{TIN}.options.input", "'rgb', 'rgb_difference', 'flow', not 'rgbdiff'"),
    (f"{TIN}.options.input", "flow", f"{TIN}.clip.input", "must be flow with this network"),
    (f"{TIN}.clip.input", "flow", f"{TIN}.clip.input", "must be frames with this network"),
    (f"{TIN}.clip.input", "smell", f"{TIN}.clip.input", "must be one of 'frames', 'flow', 'sound', not 'smell'"),
    (f"{TIN}.options.input", "rgb_difference", f"{TIN}.clip.sampler.consecutive", "must be 6 with this network"),
    (f"{TIN}.clip.sampler.consecutive", 6, f"{TIN}.clip.sampler.consecutive", "must be 1 with this network"),
    (f"{TIN}.clip.sampler.consecutive", 0, f"{TIN}.clip.sampler", "consecutive must be at least 1"),
    (TIN, 3, TIN, "must be a mapping"),
    (f"{TIN}.arch", "tinn", f"{TIN}.arch", "Did you mean 'tin'?"),
    (f"{TIN}.arch", {"tin": 1}, f"{TIN}.arch", "must be of type str, not {'tin': 1}"),
    (f"{TIN}.watch", GONE, f"{TIN}.watch", "this setting is missing"),
    (f"{TIN}.reads", GONE, f"{TIN}.reads", "this setting is missing"),
    ("features", {"tin_demo": {}}, "features", "'tin_demo' is in one alone"),
    (f"{TIN}.starts", GONE, f"{TIN}.starts", "this setting is missing"),
    (f"{TIN}.options.frame", 8, f"{TIN}.options.frame", "Did you mean 'frames'?"),
    (f"{TIN}.options.frames", "8", f"{TIN}.options.frames", "must be of type int, not '8'"),
    (f"{TIN}.options.shift_div", 0, f"{TIN}.options", "shift_div=0 and frames=8 must be at least 1"),
    (f"{TIN}.options.backbone", "resnet5", f"{TIN}.options", "has no backbone 'resnet5'"),
    (f"{TIN}.options.backbone_options.stem_widt", 8, f"{TIN}.options", "stem_widt"),
    (f"{TIN}.options.dropout", 2, f"{TIN}.options", "dropout"),
    (f"{TIN}.clip.sampler.frames", 16, f"{TIN}.clip.sampler.frames", "The clip has 16 frames"),
    (f"{TIN}.clip.sampler.stride", 2, f"{TIN}.clip.sampler", "null for segments"),
    (f"{TIN}.clip.crop", 99, f"{TIN}.clip", "a crop of 99 pixels does not fit"),
    (f"{TIN}.test", GONE, f"{TIN}.test", "this setting is missing"),
    (f"{TIN}.test.clips", 0, f"{TIN}.test", "clips must be at least 1"),
    (f"{TIN}.test.sides", [8], f"{TIN}.test", "a crop of 40 pixels does not fit"),
    (f"{TIN}.train.epochs", 0, f"{TIN}.train", "epochs and batch must be at least 1"),
    (f"{TIN}.train.ema", 1.5, f"{TIN}.train", "ema is a decay between 0 and 1"),
    (f"{TIN}.train.pretrained", "nowhere.pth", f"{TIN}.train.pretrained", "nowhere.pth does not exist"),
    (f"{TIN}.train.pretrained", "timm:resnet5", f"{TIN}.train.pretrained", "timm has no model 'resnet5'"),
    (f"{TIN}.train.pretrained", "imagenet", f"{TIN}.train.pretrained", "make 'resnet10t' another network"),
    (f"{TIN}.train.loss.name", "bcee", f"{TIN}.train.loss.name", "Did you mean 'bce'?"),
    (
        f"{TIN}.train.loss.options.bce.scale",
        -1,
        f"{TIN}.train.loss.options.bce",
        "scale must be greater than 0, not -1",
    ),
    (f"{TIN}.train.loss.options.bce.smooth", 0.1, f"{TIN}.train.loss.options.bce.smooth", "Did you mean 'smoothing'?"),
    (f"{TIN}.train.loss.options.bce.class_weights", "sqr", f"{TIN}.train.loss.options.bce.class_weights", "'sqrt'"),
    (
        f"{TIN}.train.loss.name",
        "cross_entropy",
        f"{TIN}.train.loss.name",
        "is for single_label, and dataset",
    ),
    (f"{TIN}.train.loss.options.bec", {"scale": 1.0}, f"{TIN}.train.loss.options", "Did you mean 'bce'?"),
    (f"{TIN}.train.loss.options.auto", {"scale": 1.0}, f"{TIN}.train.loss", "auto has no options"),
    (
        f"{TIN}.train.loss.options.cross_entropy.smoth",
        0.1,
        f"{TIN}.train.loss.options.cross_entropy.smoth",
        "Did you mean 'smoothing'?",
    ),
    (f"{TIN}.train.optim.options.sdg", {"momentum": 0.9}, f"{TIN}.train.optim.options", "Did you mean 'sgd'?"),
    ("dataset.task", "single", "dataset.task", "must be one of 'auto', 'single_label', 'multi_label', not 'single'"),
    (f"{TIN}.train.mix.mixup", -1, f"{TIN}.train.mix", "mixup and cutmix"),
    (f"{TIN}.train.optim.name", "sdg", f"{TIN}.train.optim.name", "Did you mean 'sgd'?"),
    (f"{TIN}.train.optim.name", "adahessian", f"{TIN}.train.optim.name", "second derivatives"),
    (f"{TIN}.train.optim.lr", 0, f"{TIN}.train.optim", "lr must be greater than 0"),
    (f"{TIN}.train.optim.lr", float("nan"), f"{TIN}.train.optim", "lr must be greater than 0, not nan"),
    (f"{TIN}.train.optim.weight_decay", -0.1, f"{TIN}.train.optim", "weight_decay must not be negative"),
    (f"{TIN}.train.optim.clip_norm", 0, f"{TIN}.train.optim", "clip_norm must be greater than 0, or null"),
    (f"{TIN}.train.optim.roles.biases", {}, f"{TIN}.train.optim", "roles has no 'biases'"),
    (f"{TIN}.train.optim.roles.bias.lr", -1, f"{TIN}.train.optim.roles.bias", "factors"),
    (f"{TIN}.train.optim.roles.first_weight", {"lr": -5}, f"{TIN}.train.optim.roles.first_weight", "factors"),
    (f"{TIN}.train.optim.options.sgd.momentun", 1, f"{TIN}.train.optim.options.sgd.momentun", "'momentum'"),
    (f"{TIN}.train.optim.options.sgd.momentum", -1, f"{TIN}.train.optim.options.sgd", "momentum"),
    (f"{TIN}.train.schedule.kind", "cosin", f"{TIN}.train.schedule.kind", "Did you mean 'cosine'?"),
    (f"{TIN}.train.schedule.milestones", [5], f"{TIN}.train.schedule", "milestones belong to the schedule 'step'"),
    (f"{TIN}.train.augment.sides", [58, 40], f"{TIN}.train.augment", "random_side needs sides"),
    (f"{TIN}.train.augment.flip", [], f"{TIN}.train.augment", "flip: the list has no pair"),
    (f"{TIN}.train.augment.rand_augment", {"ops": 0, "magnitude": 9}, f"{TIN}.train.augment.rand_augment", "ops"),
]


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def changed(**changes: Any) -> dict[str, Any]:
    """Right settings with others at some dotted paths."""
    settings = copy.deepcopy(RIGHT)
    for path, value in changes.items():
        node, _, last = path.rpartition(".")
        section = settings
        for key in node.split(".") if node else ():
            section = section[key]
        if value is GONE:
            del section[last]
        else:
            section[last] = value
    return settings


def test_the_committed_settings_are_right(tmp_path):
    assert problems(COMMITTED, tmp_path) == []
    check(COMMITTED, tmp_path)


def hearing(**changes: Any) -> dict[str, Any]:
    settings = yaml.safe_load(compose.text(ROOT / "conf", ["model=[tsn_demo,audio_demo]"]))
    for name, value in changes.items():
        *path, last = name.split("/")
        section = settings
        for key in path:
            section = section[key]
        section[last] = value
    return settings


def test_a_model_that_hears_is_right_and_needs_no_frames(tmp_path):
    settings = hearing()
    assert settings["sound"] == ["mono"]
    assert problems(settings, tmp_path) == []
    assert doubts(settings) == []


AUDIO = "models/audio_demo"


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("sound", [], "sound: must be [mono], as 'audio_demo' hears"),
        (f"{AUDIO}/options/pool_time", 0, "models.audio_demo.options: pool_time=0 is a number of windows"),
        (f"{AUDIO}/clip/seconds", 0.0, "models.audio_demo.clip: seconds must lie in 0.1 .. 60"),
        (f"{AUDIO}/clip/side", 40, "models.audio_demo.clip.side: there is no such setting"),
        (f"{AUDIO}/clip/input", "smell", "models.audio_demo.clip.input: must be one of 'frames', 'flow'"),
        (f"{AUDIO}/test/sides", [40], "models.audio_demo.test: sides are of frames, and it hears: []"),
        ("models/tsn_demo/test/sides", [], "models.tsn_demo.test: sides must name at least one scale"),
        (
            f"{AUDIO}/train/augment",
            {"kind": "random_side"},
            "models.audio_demo.train.augment: must be of type NoneType",
        ),
        (f"{AUDIO}/train/pretrained", "imagenet", "models.audio_demo.train.pretrained: ImageNet's weights see"),
        (f"{AUDIO}/arch", "tsn", "models.audio_demo.arch: 'tsn' sees frames, and clip.input is sound"),
        ("models/tsn_demo/arch", "audio_cnn", "models.tsn_demo.arch: 'audio_cnn' hears, and clip.input is not sound"),
    ],
)
def test_what_is_wrong_with_a_model_that_hears_is_said(tmp_path, setting, value, said):
    found = problems(hearing(**{setting: value}), tmp_path)
    assert any(line.startswith(said) for line in found), found


def flowing(**changes: Any) -> dict[str, Any]:
    """Settings with a model of flow, changed at some dotted paths."""
    settings = yaml.safe_load(compose.text(ROOT / "conf", ["model=[tsn_demo,tsn_flow_demo]"]))
    for path, value in changes.items():
        *above, last = path.split("/")
        section = settings
        for key in above:
            section = section[key]
        section[last] = value
    return settings


FLOW = "models/tsn_flow_demo"


def test_a_model_of_flow_is_right(tmp_path):
    settings = flowing()
    assert settings["flow"]["by"] == ["dis"]
    assert settings["models"]["tsn_flow_demo"]["reads"] == "data/flow"
    assert problems(settings, tmp_path) == []
    assert doubts(settings) == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("flow/by", [], "flow.by: must be [dis], as 'tsn_flow_demo' takes flow: let its file in conf/model/ take"),
        ("flow/folder", "/nowhere", "flow.folder: there is no folder /nowhere"),
        (f"{FLOW}/options/input", "rgb", "models.tsn_flow_demo.clip.input: must be frames with this network"),
        (f"{FLOW}/clip/sampler/consecutive", 6, "models.tsn_flow_demo.clip.sampler.consecutive: must be 5 with this"),
        (f"{FLOW}/train/augment/rand_augment", {"ops": 1, "magnitude": 3}, "models.tsn_flow_demo: train.augment.rand_"),
    ],
)
def test_what_is_wrong_with_a_model_of_flow_is_said(tmp_path, setting, value, said):
    found = problems(flowing(**{setting: value}), tmp_path)
    assert any(line.startswith(said) for line in found), found


def test_flow_without_its_package_is_said_before_anything_runs_unless_it_is_there_already(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    (line,) = problems(flowing(), tmp_path)
    assert line.startswith("flow: Optical flow is computed by a package that is missing")
    assert problems(flowing(**{"flow/folder": str(tmp_path)}), tmp_path) == []


def test_flow_that_is_scaled_up_is_said():
    (line,) = doubts(flowing(**{"flow/short_side": 32}))
    assert line.startswith("models.tsn_flow_demo: takes flow of 58 pixels, and it is computed at 32")


def test_flow_of_another_program_has_its_own_size_and_reads_no_frames(tmp_path):
    imported = {"flow/folder": str(tmp_path), "flow/short_side": 32}
    assert doubts(flowing(**imported)) == []
    (line,) = doubts(flowing(**imported, **{"pack/short_sides": [64, 32]}))
    assert line.startswith("pack.short_sides: no model reads the frames of 32 pixels")


@pytest.mark.parametrize(("setting", "value", "path", "said"), WRONG, ids=[f"{case[0]}={case[1]}" for case in WRONG])
def test_a_wrong_setting_is_said_by_its_dotted_path(tmp_path, setting, value, path, said):
    lines = [line for line in problems(changed(**{setting: value}), tmp_path) if line.startswith(f"{path}: ")]
    assert len(lines) == 1
    assert said in lines[0]


def test_an_engine_that_is_not_installed_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (line,) = problems(changed(**{"machine.engine": "ray"}), tmp_path)
    assert line.startswith("machine.engine: The engine ray needs a package")


def test_a_logger_that_is_not_installed_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    (line,) = problems(changed(**{"machine.logger": ["wandb"]}), tmp_path)
    assert line.startswith("machine.logger: wandb needs wandb, which is not installed")


@pytest.fixture
def start(tmp_path) -> Path:
    """A checkpoint of the demo's TIN, of three classes."""
    options = changed()["models"]["tin_demo"]["options"]
    recipe, names = {"arch": "tin", "options": options}, ("a", "b", "c")
    Checkpoint(tin.build(3, **options).state_dict(), recipe, names, tin.INPUT).write(tmp_path)
    return tmp_path / "model.safetensors"


def test_a_start_that_fits_but_for_the_classes_is_right(start):
    assert problems(changed(**{f"{TIN}.train.pretrained": str(start)}), Path("data/predictions")) == []


def test_a_start_that_does_not_fit_is_told_before_hours_of_extraction(start):
    frames = {f"{TIN}.options.frames": 4, f"{TIN}.clip.sampler.frames": 4}
    with pytest.raises(UserError) as error:
        check(changed(**{f"{TIN}.train.pretrained": str(start), **frames}), Path("data/predictions"))
    head, first, *more, _ = str(error.value).splitlines()
    assert head == "1 setting is wrong, and nothing was started:"
    assert first.startswith(f"  {TIN}.train.pretrained: {start} does not fit the model")
    assert first.endswith("(conf/model/tin_demo.yaml)")
    assert "    Set frames: 8 (the model has 4)." in more


def test_a_network_that_is_none_is_told_once_whatever_it_starts_from(start):
    wrong = changed(**{f"{TIN}.train.pretrained": str(start), f"{TIN}.options.backbone": "resnet5"})
    (line,) = problems(wrong, Path("data/predictions"))
    assert "no backbone 'resnet5'" in line


def test_a_set_that_the_file_lacks_is_told(start):
    wrong = changed(**{f"{TIN}.train.pretrained": str(start), f"{TIN}.train.pretrained_set": "ema"})
    (line,) = problems(wrong, Path("data/predictions"))
    assert line.startswith(f"{TIN}.train.pretrained: ")
    assert "'ema'" in line


def starting_from_imagenet(arch: str, options: dict[str, Any]) -> list[str]:
    """What is wrong with a model that starts from the ImageNet weights of its backbone."""
    frames = {"sampler": {"kind": "segments", "frames": 8, "stride": None}, "side": 64, "crop": 64}
    changes = {"arch": arch, "options": options, "train.pretrained": "imagenet", "clip": frames}
    return problems(changed(**{f"{TIN}.{name}": value for name, value in changes.items()}), Path("data/predictions"))


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"])
def test_imagenet_weights_need_not_be_there_yet(backbone):
    assert starting_from_imagenet("tsn", {"backbone": backbone}) == []


@pytest.mark.parametrize(
    ("arch", "options", "said"),
    [
        ("slow", {}, "this model names none (networks of 3D convolutions"),
        ("tsn", {}, "this model names none"),
        ("tsn", {"backbone": "mobilenetv2_035"}, "no source has ImageNet weights of the backbone 'mobilenetv2_035'"),
        ("tsn", {"backbone": "resnet18", "backbone_options": {"stem_type": "deep"}}, "make 'resnet18' another network"),
    ],
)
def test_imagenet_weights_that_cannot_be_had_are_refused_with_the_reason(arch, options, said):
    (line,) = starting_from_imagenet(arch, options)
    assert line.startswith(f"{TIN}.train.pretrained: ")
    assert said in line
    assert "null" in line


def test_every_section_and_part_of_a_model_has_a_wrong_setting_above():
    tried = {setting for setting, *_ in WRONG}
    parts = [f"{TIN}.{part}" for part in RIGHT["models"]["tin_demo"]]
    parts += [f"{TIN}.train.{part}" for part, value in RIGHT["models"]["tin_demo"]["train"].items() if value]
    untold = {"size", "fold_lists", f"{TIN}.train.batch", f"{TIN}.train.seed"}  # for conf/; and as epochs is
    for section in {*RIGHT, *parts} - untold:
        assert any(f"{setting}.".startswith(f"{section}.") for setting in tried), section


def test_all_errors_come_together_each_with_the_file_where_it_is_set(tmp_path):
    settings = changed(
        **{
            "ensemble.members": ["tin_dem"],
            f"{TIN}.train.loss.options.bce.scale": -1,
            f"{TIN}.train.optim.name": "sdg",
            "models.tsn_demo.options.frame": 8,
            "dataset.root": "/nowhere",
            "extract.fps": 0,
            "extract.shards": 0,
        }
    )
    with pytest.raises(UserError) as error:
        check(settings, tmp_path)
    head, *lines, last = str(error.value).splitlines()
    assert head == "7 settings are wrong, and nothing was started:"
    assert sorted((line.split(":")[0].strip(), line.rpartition("(")[2]) for line in lines) == [
        ("dataset.root", "conf/dataset/)"),
        ("ensemble.members", "conf/config.yaml)"),
        ("extract", "conf/config.yaml)"),
        ("extract", "conf/config.yaml)"),
        ("models.tin_demo.train.loss.options.bce", "conf/model/tin_demo.yaml)"),
        ("models.tin_demo.train.optim.name", "conf/model/tin_demo.yaml)"),
        ("models.tsn_demo.options.frame", "conf/model/tsn_demo.yaml)"),
    ]
    assert last == "Mend this in conf/ or in the override, then `pipeline params`."


def test_an_imported_member_needs_its_folder_of_predictions(tmp_path):
    settings = changed(**{"ensemble.members": ["tin_demo", "theirs"]})
    assert [line.split(":")[0] for line in problems(settings, tmp_path)] == ["ensemble.members"]
    (tmp_path / "theirs").mkdir()
    assert problems(settings, tmp_path) == []


def test_a_real_corpus_must_be_there_and_a_generated_one_need_not(tmp_path):
    real = {"dataset.generated": [], "dataset.root": str(tmp_path)}
    settings = changed(**real, **{"dataset.annotations": str(tmp_path / "labels.csv")})
    assert problems(settings, tmp_path) == [f"dataset.annotations: there is no file {tmp_path / 'labels.csv'}."]
    (tmp_path / "labels.csv").touch()
    assert problems(settings, tmp_path) == []


@pytest.mark.parametrize(
    ("name", "annotations", "said"),
    [
        ("folder", "clips", "there is no file"),
        ("class_folders", "clips", None),
        ("class_folders", "labels.csv", "there is no folder"),
        ("lists", "clips", None),
        ("lists", "labels.csv", None),
        ("lists", "nowhere", "there is no file or folder"),
    ],
)
def test_annotations_are_a_file_or_a_folder_as_the_format_has_them(tmp_path, name, annotations, said):
    (tmp_path / "clips").mkdir()
    (tmp_path / "labels.csv").touch()
    own = {"format": name, "root": str(tmp_path / "clips"), "annotations": str(tmp_path / annotations), "generated": []}
    settings = {**RIGHT, "dataset": {**RIGHT["dataset"], **own}}
    wrong = f"dataset.annotations: {said} {tmp_path / annotations}." if said else None
    assert problems(settings, tmp_path) == [wrong] * bool(said)


def test_a_url_as_root_is_reachable_by_something_and_holds_no_key(tmp_path):
    def said(root: str, **dataset: object) -> list[str]:
        own = {"root": root, "generated": [], "annotations": str(tmp_path)} | dataset
        return problems({**RIGHT, "dataset": {**RIGHT["dataset"], **own}}, tmp_path)

    assert said("memory://a", format="class_folders") == []
    assert said("memory://a", format="class_folders", annotations="memory://a") == []
    (unknown,) = said("nowhere://a", format="class_folders")
    assert unknown.startswith("dataset.root: nowhere://a: Protocol not known: nowhere. `pip install ")
    (annotations,) = said("memory://a", annotations="memory://a/labels.csv")
    assert annotations == "dataset.annotations: must be a file of this machine, and no URL. Fetch it."
    (secret,) = said("ftp://me:word@host/a", format="class_folders")
    assert secret == "dataset: root must be a URL without password or token (docs/your-data.md)"  # noqa: S105


def test_the_way_on_without_videos_is_named_where_there_is_what_was_made_of_them(tmp_path):
    settings = changed(**{"dataset.generated": [], "dataset.root": "/nowhere"})
    (plain,) = [line for line in problems(settings, tmp_path / "predictions") if line.startswith("dataset.root")]
    assert plain == "dataset.root: there is no folder /nowhere."
    (tmp_path / "manifest.tsv").touch()
    (pulled,) = [line for line in problems(settings, tmp_path / "predictions") if line.startswith("dataset.root")]
    assert pulled.endswith("`dvc checkout && dvc repro --downstream extract` goes on.")


def test_a_ranking_loss_takes_no_mixed_labels(tmp_path):
    settings = changed(**{f"{TIN}.train.loss.name": "lsep", f"{TIN}.train.mix.mixup": 0.8})
    (line,) = problems(settings, tmp_path)
    assert line.startswith(f"{TIN}.train.mix: the loss 'lsep' ranks classes")


@pytest.mark.parametrize("nothing", [None, [], "text", {}])
def test_a_file_without_settings_is_refused(tmp_path, nothing):
    with pytest.raises(UserError, match="wrong, and nothing was started"):
        check(nothing, tmp_path)


def test_a_loss_that_does_not_fit_the_task_is_named_with_one_that_does(tmp_path):
    bce = changed(**{"dataset.task": "single_label", f"{TIN}.train.loss.name": "bce"})
    (line,) = problems(bce, tmp_path)
    assert line.startswith(
        f"{TIN}.train.loss.name: the loss 'bce' is for multi_label, and dataset.task is single_label"
    )
    assert "Take 'cross_entropy', or 'auto'" in line


@pytest.mark.parametrize("task", ["auto", "single_label", "multi_label"])
def test_auto_fits_any_task_and_an_explicit_loss_one_that_may_be(tmp_path, task):
    assert problems(changed(**{"dataset.task": task, f"{TIN}.train.loss.name": "auto"}), tmp_path) == []
    for name in ("bce", "cross_entropy"):
        assert problems(changed(**{"dataset.task": "auto", f"{TIN}.train.loss.name": name}), tmp_path) == []


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_where_the_task_is_not_known_yet_the_losses_of_both_are_built(tmp_path, loss):
    settings = changed(**{"dataset.task": "auto", f"{TIN}.train.loss.options.{loss}.smoothing": 1.5})
    (line,) = problems(settings, tmp_path)
    assert line.startswith(f"{TIN}.train.loss.options.{loss}: smoothing must be at least 0 and less than 1")


def test_frames_that_are_smaller_than_a_model_takes_are_doubted():
    settings = copy.deepcopy(RIGHT)
    assert doubts(settings) == []
    settings["models"]["tin_demo"]["test"]["sides"] = [64, 96]
    settings["extract"]["short_side"] = 64
    (line,) = doubts(settings)
    assert line.startswith("models.tin_demo: takes frames of 96 pixels, and extract.short_side keeps 64,")


@pytest.mark.parametrize(
    ("smaller", "unread"),
    [([], []), ([58], []), ([48], []), ([58, 40], []), ([59, 58], ["59"]), ([63, 60, 39], ["63", "39"])],
)
def test_a_smaller_size_that_no_model_reads_is_doubted(smaller, unread):
    """The models train at 40 to 58 pixels, validate at 40, and are tested at 40 and 46."""
    found = doubts(changed(**{"pack.short_sides": [64, *smaller]}))
    assert [re.search(r"no model reads the frames of (\d+) pixels", line)[1] for line in found] == unread


@pytest.mark.parametrize(("crop", "said"), [(48, None), (56, "56 x 56"), (None, "56 x 56")])
def test_a_test_crop_that_the_network_is_not_built_for_is_refused(tmp_path, crop, said):
    changes = {
        "arch": "mvit",
        "options": {"frames": 16, "size": 48, "width": 8, "depths": [1, 1, 1]},
        "clip": {"sampler": {"kind": "dense", "frames": 16, "stride": 4}, "side": 48, "crop": 48},
        "train.augment.crop": 48,
        "train.augment.sides": [48, 64],
        "test.sides": [56],
        "test.crop": crop,
    }
    found = problems(changed(**{f"{TIN}.{name}": value for name, value in changes.items()}), tmp_path)
    place = f"{TIN}.clip.sampler.frames: 16 frames of {said} pixels"
    remedy = "built for 16 of 48 x 48. Draw clips of 16 frames, with `crop: 48` in clip, train.augment and test"
    assert [line.startswith(place) and remedy in line for line in found] == [True] * (said is not None)
