import csv
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy.stats import rankdata

from pipeline import metrics
from pipeline.clips import views
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.core.names import NO_CLASS
from pipeline.ensemble import bootstrap, cross_validate
from pipeline.ensemble import run as ensemble_run
from pipeline.ensemble.config import EnsembleConfig
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores, protocol_table
from tests.support import tiny

GRID = views.grid(Scale(32, 32), ViewConfig(1, (32, 36), 32)).describe()
SETTINGS = dict(
    members=("a", "b"),
    protocol="dense",
    weights="fitted",
    mean="probability",
    given=None,
    subsets={},
    starts=2,
    shrinkage=10.0,
    folds=2,
    resamples=20,
    seed=0,
    top=2,
)


@pytest.fixture
def corpus(tmp_path):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=6)
    for seed, member in enumerate("ab"):
        for split in ("val", "test"):
            write(tmp_path / "predictions" / member, manifest.split(split), split, store, seed)
    return tmp_path, manifest, statistics


def write(folder, manifest, split, store, seed, knows=2.0, loud=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (len(manifest), len(GRID["views"]), 3)
    logits = (loud * (rng.normal(size=shape) + knows * manifest.targets()[:, None])).astype(np.float16)
    scores = ViewScores(logits, GRID)
    broken = np.array([video not in store for video in manifest.videos])
    protocol_table(manifest, broken, scores, "multiscale", {"checkpoint": str(seed)}).write(folder / f"{split}.parquet")
    scores.write(folder, split)


def run(corpus, **changes):
    folder, manifest, statistics = corpus
    config = EnsembleConfig(**(SETTINGS | changes))
    return ensemble_run.run_ensemble(config, manifest, statistics, folder / "predictions", folder / "ensemble")


def scikit_map(scores: np.ndarray, targets: np.ndarray) -> float:
    each = [sklearn.metrics.average_precision_score(t, s) for s, t in zip(scores, targets, strict=True)]
    return 100 * float(np.mean(each))


def scikit_lrap(scores: np.ndarray, targets: np.ndarray) -> float:
    return 100 * float(sklearn.metrics.label_ranking_average_precision_score(targets, scores))


def test_every_metric_is_scikit_learns(corpus):
    folder, manifest, statistics = corpus
    results = run(corpus)
    for split in ("val", "test"):
        targets = manifest.split(split).targets()
        members = [ViewScores.read(folder / "predictions" / m, split) for m in "ab"]
        for name, member in zip("ab", members, strict=True):
            for protocol in ("clip", "dense", "multiscale"):
                expected = scikit_map(member.probabilities(protocol), targets)
                assert results.members[name][split][protocol].value == pytest.approx(expected)
                shares = metrics.average_precision(member.probabilities(protocol), targets)[None]
                low, high = 100 * bootstrap.intervals(shares, SETTINGS["resamples"], SETTINGS["seed"])[0]
                assert results.members[name][split][protocol][1:] == pytest.approx((low, high))
        dense = [member.probabilities("dense") for member in members]
        fused = sum(results.member_weights[name] * p for name, p in zip("ab", dense, strict=True))
        for name, scores in (("used", fused), ("uniform", sum(dense) / 2)):
            found = results.ensembles[name][split]
            assert found.value == pytest.approx(scikit_map(scores, targets))
            shares = metrics.average_precision(scores, targets)[None]
            ends = 100 * bootstrap.intervals(shares, SETTINGS["resamples"], SETTINGS["seed"])[0]
            assert found[1:] == pytest.approx(tuple(ends))
        rng = np.random.default_rng(0)
        draws = [statistics.prior + 1e-9 * rng.random(targets.shape) for _ in range(2000)]
        assert results.flat()["prior"][split] == pytest.approx(
            np.mean([scikit_lrap(d, targets) for d in draws]), abs=0.3
        )


def test_videos_of_no_class_count_as_in_scikit_learn(tmp_path):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=6)
    none = manifest.table["video"].isin(["train3", "val1", "val4", "test0"])
    manifest = dataclasses.replace(
        manifest, table=manifest.table.assign(labels=manifest.table["labels"].mask(none, NO_CLASS))
    )
    for seed, member in enumerate("ab"):
        for split in ("val", "test"):
            write(tmp_path / "predictions" / member, manifest.split(split), split, store, seed)
    for weights in ("fitted", "greedy", "per_class"):
        results = run((tmp_path, manifest, statistics), weights=weights)
        for split, empty in (("val", 2), ("test", 1)):
            table = PredictionTable.read(tmp_path / "ensemble" / f"{split}.parquet")
            assert (table.targets().sum(axis=1) == 0).sum() == empty
            expected = scikit_lrap(table.probabilities, manifest.split(split).targets())
            assert results.ensembles["used"][split].value == pytest.approx(expected)


def test_denominators_count_broken_videos(corpus):
    results = run(corpus)
    assert results.denominators["test"] == {"n_expected": 3, "n_scored": 2, "n_broken": 1}
    assert results.flat()["videos"]["val_n_expected"] == 6
    found = json.loads((corpus[0] / "ensemble" / "figures.json").read_text())
    assert found["ensemble"]["test"]["n_broken"] == 1
    assert found["a"]["val"]["n_scored"] == 5


def test_only_fitted_weights_have_a_cross_fitted_map(corpus):
    assert set(run(corpus).ensembles["cross-fitted"]) == {"val"}
    assert "cross-fitted" not in run(corpus, weights="uniform").ensembles


def test_the_outs_are_there_and_agree(corpus):
    results = run(corpus)
    out = corpus[0] / "ensemble"
    assert {file.name for file in out.iterdir()} == {
        "SHA256SUMS",
        "val.parquet",
        "test.parquet",
        "weights.json",
        "submission.csv",
        "tables.md",
        "figures.json",
        "variants.csv",
        "members.csv",
        "verdicts.json",
    }
    table = pd.read_parquet(out / "test.parquet")
    rows = list(csv.DictReader((out / "submission.csv").open()))
    assert [row["video"] for row in rows] == table["video"].tolist()
    for row, scores in zip(rows, table[list(tiny.COLOURS)].to_dict("records"), strict=True):
        assert row["class_1"] == max(scores, key=scores.get)
    assert json.loads((out / "weights.json").read_text())["members"] == results.member_weights
    text = (out / "tables.md").read_text()
    assert f"{results.members['a']['val']['dense'].value:.2f}" in text
    assert "cross-fitted" in text


def test_the_same_members_give_the_same_bytes(corpus):
    run(corpus)
    first = {file.name: file.read_bytes() for file in (corpus[0] / "ensemble").iterdir()}
    run(corpus)
    assert {file.name: file.read_bytes() for file in (corpus[0] / "ensemble").iterdir()} == first


def relabel(corpus, labels) -> Manifest:
    """Give the test split other labels, in the manifest and in all prediction files."""
    folder, manifest, _ = corpus
    rows = manifest.table["split"] == "test"
    bare = manifest.table.copy()
    bare.loc[rows, "labels"] = labels
    for member in "ab":
        file = folder / "predictions" / member / "test.parquet"
        dataclasses.replace(PredictionTable.read(file), labels=tuple(labels)).write(file)
    return Manifest(bare, manifest.classes)


def test_an_unlabelled_test_split_is_fused_but_not_scored(corpus):
    folder, _, statistics = corpus
    blank = relabel(corpus, [""] * 3)
    results = ensemble_run.run_ensemble(
        EnsembleConfig(**SETTINGS), blank, statistics, folder / "predictions", folder / "ensemble"
    )
    assert set(results.verdicts) == {"val"}
    assert len((folder / "ensemble" / "submission.csv").read_text().splitlines()) == 4
    assert "nobody labelled them" in (folder / "ensemble" / "tables.md").read_text()
    rows = pd.read_csv(folder / "ensemble" / "variants.csv")
    assert rows["test"].isna().all(), "what is not known is empty"
    assert rows["val"].notna().all()


def test_test_labels_do_not_touch_what_is_selected_or_submitted(corpus):
    folder, _, statistics = corpus
    everything = {"weights": "best", "mean": "best"}
    run(corpus, **everything)
    names = ("weights.json", "submission.csv", "val.parquet", "members.csv")
    before = {name: (folder / "ensemble" / name).read_bytes() for name in names}
    found = (folder / "ensemble" / "figures.json").read_text()

    turned = relabel(corpus, ["red", "blue;green", "blue"])
    config = EnsembleConfig(**(SETTINGS | everything))
    ensemble_run.run_ensemble(config, turned, statistics, folder / "predictions", folder / "ensemble")
    assert {name: (folder / "ensemble" / name).read_bytes() for name in names} == before
    assert (folder / "ensemble" / "figures.json").read_text() != found, "the labels did change"


def test_test_labels_are_not_read_before_everything_is_selected(corpus, monkeypatch):
    selected, read = [], []
    select, targets = cross_validate.select, PredictionTable.targets

    def select_first(*arguments):
        selected.append(select(*arguments))
        return selected[0]

    def trap(table):
        if table.videos[0].startswith("test"):
            assert selected, "test labels were read before the selection"
            read.append(table)
        return targets(table)

    monkeypatch.setattr(cross_validate, "select", select_first)
    monkeypatch.setattr(PredictionTable, "targets", trap)
    run(corpus, weights="best", mean="best")
    assert read, "the trap was set where the labels are read"


def test_each_variant_has_its_metrics_on_test(corpus):
    folder, manifest, _ = corpus
    results = run(corpus, weights="best")
    targets = manifest.split("test").targets()
    dense = [ViewScores.read(folder / "predictions" / m, "test").probabilities("dense") for m in "ab"]
    rows = pd.read_csv(folder / "ensemble" / "variants.csv").set_index("weights")
    assert rows.loc["uniform", "test"] == pytest.approx(scikit_map(sum(dense) / 2, targets))
    best = scikit_map(dense["ab".index(results.best_member)], targets)
    assert rows.loc["single", "test"] == pytest.approx(best)
    rows = rows[rows["test"].notna()]
    assert (rows["test_low"] <= rows["test"]).all()
    assert (rows["test"] <= rows["test_high"]).all()
    assert rows["used"].sum() == 1


@pytest.fixture
def unequal(tmp_path):
    """The second of three members is the best on val, and the first on test."""
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=12, test=30)
    for seed, (member, knows) in enumerate({"a": (0, 9), "b": (9, 1), "c": (1, 1)}.items()):
        for split, much in zip(("val", "test"), knows, strict=True):
            write(tmp_path / "predictions" / member, manifest.split(split), split, store, seed, much)
    return tmp_path, manifest, statistics


def test_gains_are_over_the_member_that_is_best_on_val_video_by_video(unequal):
    folder, manifest, _ = unequal
    results = run(unequal, members=("a", "b", "c"), weights="uniform")
    assert results.best_member == "b"
    rows = pd.read_csv(folder / "ensemble" / "variants.csv").set_index("weights")
    ends = [f"{split}_gain{end}" for split in ("val", "test") for end in ("", "_low", "_high")]
    assert rows.loc["single", ends].tolist() == [0] * 6, "a pair of the same scores has no spread"
    for split in ("val", "test"):
        dense = [ViewScores.read(folder / "predictions" / m, split).probabilities("dense") for m in "abc"]
        targets = manifest.split(split).targets()
        gain = scikit_map(sum(dense) / 3, targets) - scikit_map(dense[1], targets)
        assert rows.loc["uniform", f"{split}_gain"] == pytest.approx(gain)
    assert rows.loc["single", "test"] < scikit_map(dense[0], targets), "not that which is best on test"


def test_a_subset_is_fused_from_its_own_members(unequal):
    folder, manifest, _ = unequal
    run(unequal, members=("a", "b", "c"), weights="uniform", subsets={"last": ("b", "c")})
    rows = pd.read_csv(folder / "ensemble" / "variants.csv").set_index("members")
    for split in ("val", "test"):
        dense = [ViewScores.read(folder / "predictions" / m, split).probabilities("dense") for m in "bc"]
        assert rows.loc["last", split] == pytest.approx(scikit_map(sum(dense) / 2, manifest.split(split).targets()))


def test_uniform_weights_are_shown_with_the_mean_that_is_used(unequal):
    """One member knows all and hardly says so, and the other two are loud: ranks serve best."""
    folder, manifest, _ = unequal
    _, store, _ = tiny.corpus(folder / "again", val=12)
    for seed, (member, loud) in enumerate({"a": 0.05, "b": 5, "c": 5}.items()):
        for split in ("val", "test"):
            knows = 9 if member == "a" else 0
            write(folder / "predictions" / member, manifest.split(split), split, store, seed, knows, loud)
    results = run(unequal, members=("a", "b", "c"), weights="uniform", mean="best")
    assert results.kind == "uniform, of rank"
    dense = [ViewScores.read(folder / "predictions" / m, "val").probabilities("dense") for m in "abc"]
    ranks, targets = sum(rankdata(member, axis=1) for member in dense), manifest.split("val").targets()
    assert results.ensembles["uniform"]["val"].value == pytest.approx(scikit_map(ranks, targets))
    assert scikit_map(ranks, targets) > scikit_map(sum(dense), targets) + 0.1


def test_the_fused_tables_say_which_settings_made_them(corpus):
    run(corpus, starts=3)
    settings = PredictionTable.read(corpus[0] / "ensemble" / "val.parquet").meta["settings"]
    assert settings == SETTINGS | {"starts": 3, "members": ["a", "b"]}


@pytest.mark.parametrize("mean", ["probability", "logit", "rank"])
@pytest.mark.parametrize("rule", ["uniform", "single", "fitted", "greedy", "per_class"])
def test_every_rule_and_mean_writes_scores_in_0_1(corpus, rule, mean):
    results = run(corpus, weights=rule, mean=mean)
    table = PredictionTable.read(corpus[0] / "ensemble" / "test.parquet")
    assert table.probabilities.min() >= 0
    assert table.probabilities.max() <= 1
    assert sum(results.member_weights.values()) == pytest.approx(1)
    described = json.loads((corpus[0] / "ensemble" / "weights.json").read_text())
    assert (described["weights"], described["mean"]) == (rule, mean)
    assert ("classes" in described) == (rule == "per_class")
    assert table.meta["members"] == results.member_weights


def test_one_model_is_an_ensemble_of_its_own(corpus):
    results = run(corpus, members=("a",), weights="best", mean="best")
    assert results.member_weights == {"a": 1.0}
    assert (
        corpus[0] / "ensemble" / "members.csv"
    ).read_text() == "member,weight,worth,worth_low,worth_high\na,1.0,,,\n"


def test_subsets_that_are_not_there_are_left_out_and_said(corpus):
    run(corpus, subsets={"image_based": ("a", "b"), "slowfast_based": ("slow*",)})
    text = (corpus[0] / "ensemble" / "tables.md").read_text()
    assert "no weight: image_based, slowfast_based." in text


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_views_that_are_no_numbers_are_refused_with_their_place(corpus):
    file = corpus[0] / "predictions" / "b" / "val.views.npy"
    logits = np.load(file)
    logits[3, :, 1] = np.nan
    np.save(file, logits)
    with pytest.raises(UserError, match="'b' scores 'val3', class 'green', with nan"):
        run(corpus)
    assert not (corpus[0] / "ensemble").exists()


def test_a_member_without_predictions_is_named(corpus):
    with pytest.raises(UserError, match="predictions/c/val.parquet does not exist"):
        run(corpus, members=("a", "c"))


def test_predictions_that_nobody_asked_for_are_not_used(corpus):
    (corpus[0] / "predictions" / "stale").mkdir()
    (corpus[0] / "predictions" / "stale" / "val.parquet").write_bytes(b"old")
    assert set(run(corpus).member_weights) == {"a", "b"}


def test_predictions_of_another_manifest_are_refused(corpus):
    folder, manifest, statistics = corpus
    fewer = manifest.without(["val0"])
    with pytest.raises(UserError, match="6 videos of 3 classes that are not those of the manifest"):
        ensemble_run.run_ensemble(
            EnsembleConfig(**SETTINGS), fewer, statistics, folder / "predictions", folder / "ensemble"
        )


def test_members_that_differ_are_refused_and_nothing_is_left_behind(corpus):
    folder, _, _ = corpus
    table = PredictionTable.read(folder / "predictions" / "b" / "val.parquet")
    dataclasses.replace(table, videos=table.videos[::-1]).write(folder / "predictions" / "b" / "val.parquet")
    with pytest.raises(UserError, match="'a' and 'b' differ in their videos"):
        run(corpus)
    assert not (folder / "ensemble").exists()
