"""A corpus that some stage would refuse after hours is refused when its videos are listed."""

from dataclasses import replace

import pytest

from pipeline import check_corpus
from pipeline.check_corpus import check, problems
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.video_files import MISSING

AUTO = {"name": "auto"}
SETTINGS = {
    "models": {"tsn": {"train": {"batch": 4, "loss": AUTO}}, "tsm": {"train": {"batch": 8, "loss": AUTO}}},
    "ensemble": {"folds": 3},
    "dataset": {"task": "auto", "folds": 0, "split_seed": 0},
}


def corpus(train: int, val: int, missing: int = 0, rare: str = MISSING) -> Manifest:
    """Videos of one class, and one of another whose fingerprint is `rare`."""
    records = [VideoRecord(f"t{n}", "train", f"t{n}", "run", MISSING if n < missing else "1-a") for n in range(train)]
    records += [VideoRecord(f"v{n}", "val", f"v{n}", "run", "1-a") for n in range(val)]
    records += [VideoRecord("x", "test", "x", "run", "1-a"), VideoRecord("rare", "train", "rare", "jump", rare)]
    return Manifest.from_records(records, ["jump", "run"])


def test_a_corpus_that_is_large_enough_passes():
    assert list(problems(corpus(train=7, val=3, rare="1-a"), SETTINGS)) == []


def test_all_that_is_too_few_is_said_at_once_and_missing_files_do_not_count():
    found = list(problems(corpus(train=9, val=2, missing=2), SETTINGS))
    assert [line.split(":")[0] for line in found] == ["models.tsm.train.batch", "ensemble.folds", "dataset"]
    assert "8 is more than the 7 train videos" in found[0]
    assert "2 val videos cannot be cut into 3 folds" in found[1]
    assert "1 of 2 classes have no train video, or only missing files: 'jump'" in found[2]


def test_a_split_of_empty_files_is_said():
    manifest = corpus(train=8, val=3, rare="1-a")
    manifest.table.loc[manifest.table["split"] == "test", "fingerprint"] = "0-abc"
    assert list(problems(manifest, SETTINGS)) == ["dataset: every file of the split 'test' (1) is missing or empty."]


def test_one_class_is_nothing_to_tell_apart():
    rows = [VideoRecord(f"{n}", ("train", "val", "test")[n % 3], f"{n}", "run", "1-a") for n in range(30)]
    (line,) = problems(Manifest.from_records(rows, ["run"]), SETTINGS)
    assert line.startswith("dataset: 'run' is the only class, so that there is nothing to tell apart.")


def test_it_is_one_error():
    with pytest.raises(UserError, match="the corpus does not fit its settings:\n  models.tsn.train.batch: 4 is more"):
        check(corpus(train=3, val=3), SETTINGS)


def test_a_loss_that_cannot_train_the_labels_is_said_before_extraction():
    models = {"tsn": {"train": {"batch": 4, "loss": {"name": "bce"}}}, "tsm": SETTINGS["models"]["tsm"]}
    (line,) = problems(corpus(train=8, val=3, rare="1-a"), {**SETTINGS, "models": models})
    assert line.startswith("models.tsn.train.loss.name: the loss 'bce' is for multi_label, and dataset.task is single")


def test_a_task_that_the_labels_contradict_is_said():
    manifest = corpus(train=8, val=3, rare="1-a")
    manifest.table.loc[0, "labels"] = "jump;run"
    single = {**SETTINGS, "dataset": {**SETTINGS["dataset"], "task": "single_label"}}
    (line,) = problems(manifest, single)
    assert line.startswith("dataset.task is single_label, but t0 has the labels 'jump;run'")
    assert list(problems(manifest, SETTINGS)) == []


def test_folds_that_cannot_be_made_are_said():
    folds = {**SETTINGS, "dataset": {**SETTINGS["dataset"], "folds": 2}}
    (line,) = problems(corpus(train=8, val=3, rare="1-a"), folds)
    assert line.startswith("dataset.folds: ")
    assert "'jump'" in line


def test_folds_that_groups_do_not_allow_are_said():
    folds = {**SETTINGS, "dataset": {**SETTINGS["dataset"], "folds": 2}}
    manifest = corpus(train=8, val=3, rare="1-a")
    manifest.table.loc[0, "labels"] = "jump"
    assert list(problems(manifest, folds)) == []
    (line,) = problems(replace(manifest, groups={"rare": "one person", "t0": "one person"}), folds)
    assert line.startswith("dataset.folds: Every video of the class 'jump' is of one group (one person, 2 that gave")


def test_a_probe_without_groups_to_cross_validate_is_said():
    train = {"decays": [1.0], "folds": 5, "loss": AUTO}
    settings = {**SETTINGS, "models": {"probe": {"arch": "probe", "train": train}}}
    manifest = corpus(train=8, val=3, rare="1-a")
    assert list(problems(manifest, settings)) == []
    of_two = {video: "one" if video == "t0" else "other" for video in manifest.videos}
    assert list(problems(replace(manifest, groups=of_two), settings)) == []
    (line,) = problems(replace(manifest, groups=dict.fromkeys(manifest.videos, "one")), settings)
    assert line.startswith("models.probe: all 9 train videos are of one group")


def test_a_probe_of_too_many_videos_is_said(monkeypatch):
    train = {"decays": [1.0], "folds": 5, "loss": AUTO}
    settings = {**SETTINGS, "models": {"probe": {"arch": "probe", "train": train}}}
    manifest = corpus(train=8, val=3, rare="1-a")
    monkeypatch.setattr(check_corpus, "LINEAR_VIDEOS", 8)
    (line,) = problems(manifest, settings)
    assert line.startswith(
        "models.probe: a linear layer is fitted by a comparison of every two train videos, which is out of reach for 9"
    )
    monkeypatch.setattr(check_corpus, "LINEAR_VIDEOS", 9)
    assert list(problems(manifest, settings)) == []


@pytest.mark.parametrize("head", ["linear", "attentive", "auto", None])
def test_of_two_heads_the_other_takes_any_number_of_videos(monkeypatch, head):
    train = {"decays": [1.0], "folds": 5, "loss": AUTO}
    settings = {
        **SETTINGS,
        "models": {"eyes": {"arch": "encoder", "options": {"head": head} if head else {}, "train": train}},
    }
    monkeypatch.setattr(check_corpus, "LINEAR_VIDEOS", 8)
    said = list(problems(corpus(train=8, val=3, rare="1-a"), settings))
    assert [line.partition("models.eyes.options.")[2] for line in said] == ["head=attentive`."] * (head == "linear")
