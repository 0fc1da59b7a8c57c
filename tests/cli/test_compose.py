"""conf/ composes, params.yaml is its composition, and every model and set plans."""

import fnmatch
import logging
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.cli import compose, model_table
from pipeline.clips.views import ViewConfig
from pipeline.core import params, registry
from pipeline.core.machine import Machine
from pipeline.core.manifest import DatasetConfig
from pipeline.ensemble.config import EnsembleConfig
from pipeline.extraction.ffmpeg import ExtractConfig
from pipeline.pretrained import imagenet
from pipeline.training import kinds
from tests.support import project

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
MODELS = model_table.single_models(CONF)
SETS = sorted({file.stem for file in (CONF / "model").glob("*.yaml")} - set(MODELS))
DATASETS = sorted(file.stem for file in (CONF / "dataset").glob("*.yaml"))


def composed(*overrides: str) -> dict:
    return yaml.load(compose.text(CONF, overrides), yaml.CSafeLoader)


def test_the_committed_params_are_conf_composed():
    assert (ROOT / "params.yaml").read_text() == compose.text(CONF), "run `make params` and commit params.yaml"


def together(names: list[str]) -> str:
    return f"model=[{','.join(names)}]"


@pytest.fixture(scope="module")
def built() -> set[str]:
    """The networks that have been built, by model and options: most corpora ask for the same."""
    return set()


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_model_on_every_corpus_is_a_valid_config_that_builds(dataset, built):
    sections = composed(together(MODELS), f"dataset={dataset}")["models"]
    assert sorted(sections) == MODELS
    for name, section in sections.items():
        params.build(ViewConfig, section["test"], where=name)
        config = kinds.kind(section).read(section, where=name)
        asked = config.options.get("frames")
        drawn = None if config.clip.hears else config.clip.sampler.frames
        assert asked in (None, drawn), f"{name}: the network and the sampler differ in frames"
        network = f"{name} {config.options}"
        if network not in built and not hasattr(registry.find("models", config.arch), "EXTRA"):
            with torch.device("meta"):  # the table of models builds those of extras, nightly
                config.build(classes=313)
            built.add(network)


@pytest.mark.parametrize("choice", SETS)
def test_a_set_is_made_of_single_models(choice):
    assert set(composed(f"model={choice}")["models"]) <= set(MODELS)


def test_the_report_fused_its_two_tables():
    report, image, slowfast = (composed(f"model={n}")["models"] for n in ("report", "image_based", "slowfast_based"))
    assert list(report) == [*image, *slowfast]
    assert (len(image), len(slowfast)) == (9, 5)


def test_the_sets_of_today_hold_those_of_before_and_try_their_newer_members_together():
    for now, before in (("today", "report"), ("tiny_today", "demo")):
        chosen = composed(f"model={now}")
        assert set(composed(f"model={before}")["models"]) < set(chosen["models"])
        config = params.build(EnsembleConfig, chosen["ensemble"], "ensemble")
        for name, patterns in config.subsets.items():
            assert 2 <= len(config.subset(name)) < len(config.members) or name == "slowfast_based", name
            assert all(fnmatch.filter(config.members, one.lstrip("!")) for one in patterns) or name.endswith(
                "_based"
            ), name
        assert {"image_based", "slowfast_based", "transformers"} <= set(config.subsets)
        image = [config.members[member] for member in config.subset("image_based")]
        assert not [name for name in image if "_diff_" in name or "_flow_" in name], "the report's took colours"


def test_the_set_of_all_small_networks_has_each_architecture_once():
    archs = [section["arch"] for section in composed("model=demo_all")["models"].values()]
    assert len(set(archs)) == len(archs) >= 9
    assert set(archs) <= set(registry.names("models"))


def test_dvc_watches_the_checkpoint_that_a_model_starts_from():
    given = composed("model=tin_r101", "models.tin_r101.train.pretrained=weights/k400.v1/tin.pth")
    assert given["models"]["tin_r101"]["watch"] == "weights/k400.v1/tin.pth"
    assert (ROOT / composed("model=tin_r101")["models"]["tin_r101"]["watch"]).is_file()


@pytest.mark.parametrize("backbone", ["resnet101", "resnet101.a1_in1k", "tf_efficientnet_lite0"])
def test_dvc_watches_the_imagenet_weights_of_the_backbone_and_of_no_other(backbone):
    changes = "models.tin_r101.train.pretrained=imagenet", f"models.tin_r101.options.backbone={backbone}"
    watched = {name: model["watch"] for name, model in composed("model=[tin_r101,tsm_r50]", *changes)["models"].items()}
    assert watched["tin_r101"] == str(imagenet.file_of(backbone, Path("data/weights")))
    assert watched["tsm_r50"] == composed("model=tsm_r50")["models"]["tsm_r50"]["watch"]


def test_what_has_no_backbone_composes_all_the_same_so_that_the_check_can_say_it():
    composed("model=slowfast_demo", "models.slowfast_demo.train.pretrained=imagenet")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_section_is_read_strictly(dataset):
    whole = composed(f"dataset={dataset}")
    kinds = {"dataset": DatasetConfig, "extract": ExtractConfig, "machine": Machine, "ensemble": EnsembleConfig}
    for section, kind in kinds.items():
        params.build(kind, whole[section], where=section)


def test_the_members_of_the_ensemble_are_the_models_of_the_set():
    assert composed("model=tin_r101")["ensemble"]["members"] == ["tin_r101"]
    everyone = composed("model=report")
    assert everyone["ensemble"]["members"] == list(everyone["models"])


def test_the_demo_corpus_is_generated_and_a_real_one_is_not():
    assert composed("dataset=demo")["dataset"]["generated"] == ["demo"]
    assert composed("dataset=folder")["dataset"]["generated"] == []


def test_a_full_size_model_takes_the_size_of_the_corpus():
    assert composed("dataset=folder", "model=tin_r101")["models"]["tin_r101"]["train"]["augment"]["crop"] == 224
    assert composed("dataset=demo", "model=tin_r101")["models"]["tin_r101"]["train"]["augment"]["crop"] == 40


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = project.copy(tmp_path_factory.mktemp("plan") / "project")
    (folder / "videos").mkdir()
    (folder / "videos" / "labels.csv").write_text("path,labels\na.mp4,x\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("choice", [together(MODELS), "model=report", "model=tin_r101"])
def test_every_model_plans(workspace, choice):
    """One train and one infer stage a model, then the ensemble.

    `--force`, because a dry run of DVC 3.67 hashes the outs of stages that never ran while it asks the run cache.
    """
    project.write_params(workspace, choice, "dataset=folder")
    done = project.dvc(workspace, "repro", "--dry", "--force")
    models = composed(choice)["models"]
    for name in models:
        assert f"stages.train {name} " in done.stdout
        assert f"stages.infer {name} " in done.stdout
    assert done.stdout.count("stages.train") == len(models)
    assert "stages.ensemble" in done.stdout
    assert "stages.demo" not in done.stdout


def test_what_params_override_is_said(tmp_path, caplog):
    file = tmp_path / "params.yaml"
    file.write_text(compose.text(CONF, ["model=[tin_demo,audio_demo]", "models.tin_demo.train.optim.lr=0.25"]))
    with caplog.at_level(logging.INFO):
        compose.announce(file, CONF)
    (said,) = caplog.messages
    assert "settings: " in said
    assert said.partition("settings: ")[2].startswith("ensemble.members="), "values first, then what is missing"
    assert said.index("models.tin_demo.train.optim.lr=0.25") < said.index(", -")


def test_nothing_is_said_when_params_are_conf_composed(tmp_path, caplog):
    file = tmp_path / "params.yaml"
    file.write_text(compose.text(CONF))
    with caplog.at_level(logging.INFO):
        compose.announce(file, CONF)
    assert not caplog.records


def test_the_overrides_of_a_result_have_no_path_and_nothing_of_the_machine(tmp_path):
    file = tmp_path / "params.yaml"
    of_results = ["models.tin_demo.train.optim.lr=0.25", "dataset.val_share=0.25", "ensemble.seed=3"]
    others = ["dataset.root=/home/me/videos", "machine.workers=3", "infer.together=true", "report.strips_megabytes=1"]
    file.write_text(compose.text(CONF, [*of_results, *others]))
    assert sorted(compose.overrides(file, CONF)) == sorted(of_results)
    file.write_text(compose.text(CONF, others))
    assert compose.overrides(file, CONF) == []


def test_where_conf_does_not_compose_no_override_is_known(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(compose.text(CONF))
    assert compose.overrides(file, tmp_path) is None
