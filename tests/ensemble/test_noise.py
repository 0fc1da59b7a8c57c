"""Predictions of pure noise: every table and file calls them chance, and nobody tells of a gain."""

import json

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from pipeline import class_stats
from pipeline.clips import views
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.run import run_ensemble
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores, protocol_table

GRID = views.grid(Scale(32, 32), ViewConfig(1, (32,), 32)).describe()
MEMBERS = ("tsn", "tsm", "tin", "slowfast")
SETTINGS = dict(
    members=MEMBERS, protocol="multiscale", weights="best", mean="best", given=None, subsets={}, starts=2,
    shrinkage=10.0, folds=5, resamples=500, seed=0, top=2,
)  # fmt: skip
CORPORA = {SINGLE_LABEL: (33, 11, 1), MULTI_LABEL: (150, 51, 6)}
"""Task -> val videos and as many of test, classes, labels a video."""


def noise(folder, task, seed, knows=0.0, members=MEMBERS, bias=1.0, **settings):
    """Results of members that know `knows` of the labels, like some classes better than others, and else guess."""
    videos, classes, labels = CORPORA[task]
    names = tuple(f"class {number:02d}" for number in range(classes))
    rng = np.random.default_rng(seed)
    records = [
        VideoRecord(f"{split}{v}", split, f"{split}{v}.mp4", ";".join(sorted(rng.permutation(names)[:labels])), "1-x")
        for split in ("val", "test")
        for v in range(videos)
    ]
    records += [VideoRecord(f"train{name}", "train", f"{name}.mp4", name, "1-x") for name in names]
    manifest = Manifest.from_records(records, names)
    for member in members:
        liked = bias * rng.normal(size=classes)
        for split in ("val", "test"):
            part = manifest.split(split)
            logits = rng.normal(size=(videos, len(GRID["views"]), classes)) + liked + knows * part.targets()[:, None]
            scores = ViewScores(logits.astype(np.float16), GRID, task)
            out = folder / "predictions" / member
            out.mkdir(parents=True, exist_ok=True)
            meta = {"checkpoint": member} | ({"task": task} if task == SINGLE_LABEL else {})
            protocol_table(part, np.zeros(videos, bool), scores, "multiscale", meta).write(out / f"{split}.parquet")
            scores.write(out, split)
    config = EnsembleConfig(**(SETTINGS | {"members": members} | settings))
    prior = class_stats.ClassStatistics(names, rng.integers(5, 30, size=classes), 30 * classes)
    return run_ensemble(config, manifest, prior, folder / "predictions", folder / "ensemble")


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_called_chance_everywhere_and_gains_nothing(tmp_path, task, seed):
    results = noise(tmp_path, task, seed)
    text = (tmp_path / "ensemble" / "tables.md").read_text()
    for split in ("val", "test"):
        for name in (*MEMBERS, "The ensemble"):
            assert any(
                line.startswith(f"* {name} ") and "no better than chance on " + split in line
                for line in text.splitlines()
            )
        assert f"better than chance on {split} (chance" not in text
    assert "* No model is better than chance on test, so there is no gain to tell." in text
    assert "The ensemble is better than its best member" not in text
    flat = results.flat()
    assert set(flat["verdict"]) == {f"{m}_{s}" for m in (*MEMBERS, "ensemble") for s in ("val", "test")}
    assert "better" not in flat["verdict"].values()
    assert all(row.get(f"{split}_gain") is None for row in results.rows for split in ("val", "test"))
    assert results.worth == dict.fromkeys(MEMBERS)  # None: what is chance is worth nothing
    assert json.loads((tmp_path / "ensemble" / "verdicts.json").read_text())["sentences"] == results.sentences()


def test_the_interval_of_a_worth_is_that_of_the_same_videos_with_and_without_the_member(tmp_path):
    results = noise(tmp_path, MULTI_LABEL, 0, knows=1.5, weights="uniform", mean="probability", resamples=1000)
    tables = [PredictionTable.read(tmp_path / "predictions" / name / "val.parquet") for name in MEMBERS]
    targets, answers = tables[0].targets() > 0, np.stack([table.probabilities for table in tables])

    def by_video(scores):
        pairs = zip(targets, scores, strict=True)
        return np.array([100 * label_ranking_average_precision_score([t], [s]) for t, s in pairs])

    rng = np.random.default_rng(7)
    for number, name in enumerate(MEMBERS):
        lost = by_video(answers.mean(axis=0)) - by_video(np.delete(answers, number, axis=0).mean(axis=0))
        means = rng.choice(lost, (2000, len(lost))).mean(axis=1)
        found = results.worth[name]
        assert found.value == pytest.approx(lost.mean(), abs=1e-3)
        assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.15 * np.ptp(means))
        assert found.low < found.value < found.high


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
def test_members_that_know_something_are_better_than_chance_and_gain(tmp_path, task):
    results = noise(tmp_path, task, 0, knows=1.5)
    assert set(results.flat()["verdict"].values()) == {"better"}
    assert any(s.startswith("Every model is better than chance on test (chance") for s in results.sentences())
    assert results.ensembles["used"]["test"].value > results.members[results.best_member]["test"]["multiscale"].value
    assert any("best member" in sentence for sentence in results.sentences())


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
def test_of_one_member_there_are_no_variants(tmp_path, task):
    results = noise(tmp_path, task, 0, knows=1.5, members=("only",))
    text = (tmp_path / "ensemble" / "tables.md").read_text()
    assert "* One member: the ensemble is only itself, and there are no variants." in text
    assert "## Variants" not in text
    assert len(results.rows) == 1
    assert results.ensembles["used"]["test"].value == results.members["only"]["test"]["multiscale"].value
    assert "gain" not in text
