"""The whole road of a cross-validation, by `dvc repro`, on a dozen real clips and one tiny model."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support import corpus, project
from tests.support.project import changed

pytestmark = pytest.mark.slow

SMALL = (
    "dataset=folder",
    "dataset.val_share=0.3",
    "model=tsn_demo",
    "extract.short_side=64",
    "extract.shards=2",
    "ensemble.folds=2",
    "machine.threads=1",
    "models.tsn_demo.train.epochs=1",
    "models.tsn_demo.train.batch=2",
    "models.tsn_demo.test.sides=[40]",
)
OF_FOLDS = ["folds@2", "train_fold@tsn_demo-1", "train_fold@tsn_demo-2"]
OF_FOLDS += ["infer_fold@tsn_demo-1", "infer_fold@tsn_demo-2", "cross_validation@2", "final@tsn_demo-2"]


def set_params(root: Path, *changes: str) -> None:
    clips = root.parent / "clips"
    project.write_params(root, *SMALL, f"dataset.root={clips}", f"dataset.annotations={clips}/labels.csv", *changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory, clips) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    shutil.copytree(clips, folder / "clips")
    corpus.annotate(folder / "clips")
    root = project.copy(folder / "project")
    set_params(root, "dataset.folds=2")
    ran = project.ran(project.dvc(root, "repro", "final"))
    assert sorted(ran) == sorted(
        ["check", "index", "check_corpus", "extract", "pack", "stats", "train@tsn_demo", *OF_FOLDS]
    )
    return root


def test_every_video_is_held_out_once_and_has_scores(done):
    manifest = pd.read_csv(done / "data/manifest.tsv", sep="\t")
    folds = pd.read_csv(done / "data/cross_validation/folds.tsv", sep="\t")
    scores = pd.read_parquet(done / "data/cross_validation/tsn_demo.parquet")

    assert folds["video"].tolist() == scores["video"].tolist() == manifest["video"].tolist()
    assert scores["video"][scores["status"] == "broken"].tolist() == ["sound_only.mp4"]
    for number in (1, 2):
        test = pd.read_parquet(done / f"data/folds/predictions/{number}/tsn_demo/test.parquet").set_index("video")
        assert test.index.tolist() == folds["video"][folds["fold"] == number].tolist()
        assert scores.set_index("video").loc[test.index].equals(test)


def test_no_model_was_trained_on_what_it_answers(done):
    recipes = [json.loads((done / f"data/folds/models/{n}/tsn_demo/recipe.json").read_text()) for n in (1, 2)]
    assert recipes[0]["data"]["labels"] != recipes[1]["data"]["labels"]
    folds = pd.read_csv(done / "data/folds/splits/folds.tsv", sep="\t").set_index("video")["fold"]
    for number in (1, 2):
        manifest = pd.read_csv(done / f"data/folds/splits/{number}/manifest.tsv", sep="\t").set_index("video")
        assert set(manifest.index[manifest["split"] == "test"]) == set(folds.index[folds == number])


def test_the_final_model_is_trained_on_all_and_answers_new_videos(done, clips):
    recipe = json.loads((done / "data/final/models/tsn_demo/recipe.json").read_text())
    assert (recipe["stop"], recipe["result"]) == (1, {"epoch": 0})
    command = [sys.executable, "-m", "pipeline", "predict", str(clips / "h264.mp4"), "--json"]
    answer = json.loads(project.run([*command, "--model", "tsn_demo", "--data", "data/final"], done).stdout)
    assert set(answer["scores"]) == {"moving", "still"}


def test_the_figures_are_metrics_of_dvc(done):
    shown = json.loads(project.dvc(done, "metrics", "show", "--json").stdout)[""]["data"]
    figures = shown["data/cross_validation.json"]["data"]
    assert figures["videos"] == {"n_expected": 13, "n_scored": 12, "n_broken": 1}
    assert {"mAP", "folds_mean", "folds_sd"} <= set(figures["tsn_demo"])
    assert "2 folds" in (done / "data/cross_validation/tables.md").read_text()


def test_a_second_run_finds_everything_up_to_date(done):
    assert project.ran(project.dvc(done, "repro", "final")) == ["index"]


def test_a_fold_is_cached_by_itself(done):
    shutil.rmtree(done / "data/folds/models/2")
    shutil.rmtree(done / "data/folds/predictions/1")
    assert changed(done) >= {"train_fold@tsn_demo-2", "infer_fold@tsn_demo-1"}
    project.dvc(done, "repro", "final")
    assert (done / "data/folds/models/2/tsn_demo/model.safetensors").is_file()
    assert not changed(done) & set(OF_FOLDS)


def test_a_setting_touches_the_stages_that_read_it(done):
    before = changed(done)  # `ensemble` and what follows never ran
    for change, stale in {
        "models.tsn_demo.train.optim.lr=0.25": {f"train_fold@tsn_demo-{n}" for n in (1, 2)}
        | {"train@tsn_demo", "final@tsn_demo-2"},
        "models.tsn_demo.test.clips=1": {f"infer_fold@tsn_demo-{n}" for n in (1, 2)},
        "dataset.split_seed=5": {"folds@2", "index", "check_corpus"},
        "machine.workers=3": set(),
    }.items():
        set_params(done, "dataset.folds=2", change)
        of_models = {"check_corpus", "cross_validation@2"} if change.startswith("models") else set()
        assert changed(done) - before == stale | of_models | {"check"}, change
    set_params(done, "dataset.folds=2")


def test_without_folds_there_are_no_such_stages(done):
    set_params(done)
    listed = project.dvc(done, "stage", "list", "--name-only").stdout
    assert "fold" not in listed
    assert "final" not in listed
    assert "cross_validation" not in listed
    set_params(done, "dataset.folds=2")
    assert set(OF_FOLDS) <= set(project.dvc(done, "stage", "list", "--name-only").stdout.split())
