"""The whole pipeline, by `dvc repro`, on a dozen real clips: what runs, what reruns, and what comes of it."""

import html
import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.predictions.table import RESERVED_NAMES
from tests.support import corpus, project, stage_process
from tests.support.project import changed

pytestmark = pytest.mark.slow

SMALL = (
    "dataset=folder",
    "model=[tsn_demo,tsm_demo]",
    "extract.short_side=64",
    "extract.shards=4",
    "ensemble.folds=2",
    "machine.threads=1",
    *(f"models.{m}.train.epochs=1" for m in ("tsn_demo", "tsm_demo")),
    *(f"models.{m}.train.batch=2" for m in ("tsn_demo", "tsm_demo")),
    *(f"models.{m}.test.sides=[40]" for m in ("tsn_demo", "tsm_demo")),
)
ALL = ["check", "index", "check_corpus", "weights", "extract", "pack", "stats", "train@tsn_demo", "train@tsm_demo"]
ALL += ["infer@tsn_demo", "infer@tsm_demo", "ensemble", "report"]


def new_project(folder: Path, clips: Path) -> Path:
    """A project whose corpus is a copy of the recorded clips, beside it."""
    project.copy(folder / "project")
    shutil.copytree(clips, folder / "clips")
    corpus.annotate(folder / "clips")
    set_params(folder / "project")
    return folder / "project"


def set_params(root: Path, *changes: str) -> None:
    project.write_params(root, *SMALL, "dataset.root=../clips", "dataset.annotations=../clips/labels.csv", *changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory, clips) -> Path:
    root = new_project(tmp_path_factory.mktemp("pipeline"), clips)
    assert sorted(project.ran(project.dvc(root, "repro"))) == sorted(ALL)
    return root


def test_every_video_is_in_the_index_or_in_the_ledger(done):
    manifest = pd.read_csv(done / "data/manifest.tsv", sep="\t")
    index = pd.read_csv(done / "data/frames/index.tsv", sep="\t")
    broken = pd.read_csv(done / "data/broken.tsv", sep="\t")
    assert broken["video"].tolist() == ["sound_only.mp4"]
    assert broken["reason"].tolist() == ["no_video_stream"]
    assert sorted([*index["video"], *broken["video"]]) == sorted(manifest["video"])


def test_predictions_hold_every_video_in_manifest_order(done):
    manifest = pd.read_csv(done / "data/manifest.tsv", sep="\t")
    for model in ("tsn_demo", "tsm_demo"):
        for split in ("val", "test"):
            table = pd.read_parquet(done / f"data/predictions/{model}/{split}.parquet")
            assert table["video"].tolist() == manifest["video"][manifest["split"] == split].tolist()
            assert list(table.columns) == ["video", "status", "labels", "moving", "still"]


def test_metrics_are_flat_and_complete(done):
    shown = json.loads((done / "data/metrics.json").read_text())
    assert set(shown) == {*RESERVED_NAMES, "tsn_demo", "tsm_demo"}
    figures = {f"{s}_{p}" for s in ("val", "test") for p in ("clip", "dense", "multiscale")}
    assert set(shown["tsn_demo"]) - {"worth"} == figures  # which is not told where no model beats chance
    assert shown["videos"]["test_n_broken"] == 1


def test_a_shard_in_the_scratch_folder_in_data_and_in_dvcs_cache_is_one_file(done):
    one = done / "data/frames/shard-00000.tar"
    clones = project.run(["cp", "--reflink=always", str(one), str(done / "clone")], done, check=False).returncode == 0
    for shard in [*done.glob("data/frames/*.tar"), *done.glob("data/lmdb/*.lmdb")]:
        assert shard.stat().st_nlink == (2 if clones else 3), "a reflink shares its bytes under another number"


def test_a_second_run_looks_at_the_corpus_and_finds_everything_up_to_date(done):
    assert changed(done) == set()
    assert project.ran(project.dvc(done, "repro")) == ["index"]
    assert changed(done) == set()


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ("models.tsn_demo.train.optim.lr=0.25", {"weights", "train@tsn_demo"}),
        ("models.tsn_demo.test.clips=1", {"weights", "infer@tsn_demo"}),
        ("ensemble.weights=uniform", {"ensemble"}),
        ("machine.workers=3", set()),
        ("machine.devices=2", set()),
        ("machine.precision=bf16", set()),
        ("machine.save_seconds=5", set()),
        ("extract.jpeg_qscale=5", {"extract"}),
        ("dataset.split_seed=5", {"index", "check_corpus"}),
    ],
)
def test_a_setting_touches_the_stages_that_read_it_and_no_other(done, change, stale):
    set_params(done, change)
    assert changed(done) == stale | {"check"} | ({"check_corpus"} if change.startswith("models.") else set())
    set_params(done)


def test_the_curves_are_metrics_and_plots(done):
    shown = json.loads(project.dvc(done, "metrics", "show", "--json").stdout)[""]["data"]
    for model in ("tsn_demo", "tsm_demo"):
        assert {"loss", "lr", "step", "val"} <= set(shown[f"data/models/{model}/curves/metrics.json"]["data"])
    plots = json.loads(project.dvc(done, "plots", "show", "--json").stdout)["data"]
    assert "data/models/tsn_demo/curves/plots/metrics/val/mAP.tsv" in plots
    assert {"Average precision per class", "Reliability of the ensemble"} <= set(plots)
    for name, figure in (("Gradient norm by epoch", "gradient_norm"), ("Training speed by epoch", "clips_per_second")):
        (chart,) = plots[name]
        drawn = {row["model"]: float(row[figure]) for row in chart["content"]["data"]["values"]}
        assert [Path(model).name for model in drawn] == ["tsn_demo", "tsm_demo"]
        assert min(drawn.values()) > 0


def test_another_file_of_pretrained_weights_trains_that_model_anew(done):
    file = done / "start.safetensors"
    shutil.copy(done / "data/models/tsn_demo/model.safetensors", file)
    set_params(done, "models.tsn_demo.train.pretrained=start.safetensors")
    rerun = ["check", "index", "check_corpus", "weights", "train@tsn_demo", "infer@tsn_demo", "ensemble", "report"]
    assert project.ran(project.dvc(done, "repro")) == rerun
    assert json.loads((done / "data/models/tsn_demo/recipe.json").read_text())["pretrained"]["source"] == "ours"
    told = html.unescape((done / "data/report/index.html").read_text())
    assert "models.tsn_demo.train.pretrained='start.safetensors'" in told
    assert str(done) not in told.partition("</header>")[0]
    assert changed(done) == set()
    shutil.copy(done / "data/models/tsm_demo/model.safetensors", file)
    assert changed(done) == {"train@tsn_demo"}
    file.unlink()
    set_params(done)
    answered = set(ALL) - set(project.ran(project.dvc(done, "repro")))
    assert {"train@tsn_demo", "infer@tsn_demo", "ensemble"} <= answered, "by the run cache"
    assert changed(done) == set()


def test_tars_that_are_not_kept_rerun_pack_alone_and_leave_a_shard_one_file(done):
    before = {file.name: file.read_bytes() for file in (done / "data/lmdb").iterdir()}
    set_params(done, "extract.keep=false")
    assert project.ran(project.dvc(done, "repro")) == ["check", "index", "extract", "pack"]
    assert changed(done) == set()
    assert project.ran(project.dvc(done, "repro")) == ["index"]
    assert {file.name: file.read_bytes() for file in (done / "data/lmdb").iterdir()} == before
    assert not shards_of(done)
    for shard in (done / "data/lmdb").glob("*.lmdb"):
        places = [*(done / "work").rglob("*.lmdb"), *(done / "data/frames").iterdir(), done / "data/lmdb" / shard.name]
        assert sum(place.samefile(shard) for place in places) == 3, (
            "scratch, frames and lmdb; DVC's cache is the fourth"
        )
        assert shard.stat().st_nlink == 4
    set_params(done)
    project.dvc(done, "repro")
    assert changed(done) == set()


def test_a_code_change_reruns_the_stages_that_run_it(done):
    for file, stale in (
        ("pipeline/models/tsm.py", {"check", "train@tsm_demo", "infer@tsm_demo", "report"}),  # which counts GMACs
        ("pipeline/ensemble/run.py", {"ensemble"}),
        ("pipeline/inference/run.py", {"check", "infer@tsn_demo", "infer@tsm_demo"}),
        ("pipeline/check.py", {"check"}),
        ("pipeline/cli/compose.py", {"check"}),  # which says what differs from conf/
        ("pipeline/cli/page.py", set()),
    ):
        before = (done / file).read_text()
        (done / file).write_text(before + "\n# changed\n")
        assert changed(done) == stale, file
        (done / file).write_text(before)


def test_stages_by_hand_elsewhere_with_other_workers_give_the_bytes_that_dvc_gives(done, tmp_path, clips):
    shutil.copytree(clips, tmp_path / "clips")
    corpus.annotate(tmp_path / "clips")
    other = tmp_path / "project"
    other.mkdir()
    (other / "conf").symlink_to(done / "conf")
    set_params(other, "machine.workers=1")
    for stage, _, model in (name.partition("@") for name in ALL):
        ended = stage_process.run(stage, other, model=model)
        assert ended.status == 0, ended.said
    made, by_hand = (stage_process.contents(root / "data") for root in (done, other))
    assert [name for name in made if made[name] != by_hand.get(name)] == []
    assert len(made) > 30


def test_adding_or_replacing_a_video_makes_one_shard_anew(tmp_path, clips):
    own = tmp_path / "clips"
    shutil.copytree(clips, own)
    root, csv = stage_process.make(tmp_path / "project", own), own / "labels.csv"

    def shards() -> set[str]:
        for stage in ("check", "index", "check_corpus", "extract"):
            ended = stage_process.run(stage, root)
            assert ended.status == 0, ended.said
        return shards_of(root)

    before = shards()
    shutil.copy(clips / "h264.mp4", own / "another.mp4")
    csv.write_text(csv.read_text() + "another.mp4,moving,train\n")
    added = shards()
    assert len(added - before) == 1
    assert len(added) == len(before)

    shutil.copy(clips / "vp9.webm", own / "another.mp4")
    assert len(shards() - added) == 1


def shards_of(root: Path) -> set[str]:
    return {file.name for file in (root / "work/extract").glob("*.tar")}


WRONG = {
    "ensemble.members=[tin_dem]": "ensemble.members: 'tin_dem' is no model",
    "dataset.format=foldr": "dataset.format: there is no 'foldr'",
    "models.tsn_demo.arch=tsnn": "models.tsn_demo.arch: there is no 'tsnn'",
    "machine.precision=fp8": "machine.precision: must be one of",
}


def test_wrong_settings_stop_before_any_other_stage_with_one_message(done):
    outs = outs_of(done)
    set_params(done, *WRONG)
    failed = project.run([sys.executable, "-m", "dvc", "repro"], done, check=False)
    assert failed.returncode != 0
    assert project.ran(failed) == ["check"]
    assert [message for message in WRONG.values() if message not in failed.stderr] == []
    assert "Traceback" not in failed.stderr
    assert not (done / "data/checked.txt").exists()
    assert outs_of(done) == {**outs, "data/checked.txt": None}
    set_params(done)
    project.dvc(done, "checkout", "data/checked.txt", "data/overrides.json")
    assert changed(done) == set()


def outs_of(root: Path) -> dict[str, bytes | None]:
    """The content of the files that a failed run might leave out or change."""
    names = ("data/checked.txt", "data/metrics.json", "data/manifest.tsv", "data/broken.tsv", "dvc.lock")
    return {name: (root / name).read_bytes() if (root / name).is_file() else None for name in names}


def test_where_the_videos_are_gone_the_manifest_stays_and_the_way_out_is_named(done):
    """As in a clone that has pulled all that was made, and has no videos."""
    clips, away = done.parent / "clips", done.parent / "away"
    outs = outs_of(done)
    clips.rename(away)
    try:
        failed = project.run([sys.executable, "-m", "dvc", "repro"], done, check=False)
        assert failed.returncode != 0
        assert outs_of(done) == outs

        set_params(done, "ensemble.weights=single")
        failed = project.run([sys.executable, "-m", "dvc", "repro"], done, check=False)
        assert project.ran(failed) == ["check"]
        (command,) = re.findall(r"`(dvc checkout [^`]+)` goes on", failed.stderr)
        went_on = project.run(["bash", "-c", command], done)
        assert project.ran(went_on) == ["ensemble", "report"]
    finally:
        away.rename(clips)
        set_params(done)
    project.dvc(done, "repro")
    assert changed(done) == set()


def test_a_failed_experiment_names_the_command_that_brings_back_what_was_committed(done):
    project.run(["git", "add", "--all"], done)
    project.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "A run"], done)
    before, params = outs_of(done), (done / "params.yaml").read_bytes()

    experiment = [sys.executable, "-m", "dvc", "exp", "run", "-S", "ensemble.members=[tin_dem]"]
    failed = project.run(experiment, done, check=False)
    assert failed.returncode != 0
    assert project.ran(failed) == ["check"]
    assert WRONG["ensemble.members=[tin_dem]"] in failed.stderr
    assert (done / "params.yaml").read_bytes() != params

    (command,) = re.findall(r"`(git restore [^`]+)`", failed.stderr)
    project.run(["bash", "-c", command], done)
    assert outs_of(done) == before
    assert (done / "params.yaml").read_bytes() == params
    assert changed(done) == set()
