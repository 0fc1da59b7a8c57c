import csv
import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import tiny

from pipeline import fusion, predictions, views
from pipeline.ensemble import EnsembleConfig
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable, ViewScores
from pipeline.records import Manifest
from pipeline.views import Scale, ViewConfig

GRID = views.grid(Scale(32, 32), ViewConfig(1, (32, 36), 32)).describe()
SETTINGS = dict(members=("a", "b"), protocol="dense", weights="fitted", given=None, folds=2, seed=0, top=2)


@pytest.fixture
def corpus(tmp_path):
    manifest, store, statistics = tiny.corpus(tmp_path / "lmdb", val=6)
    for seed, member in enumerate("ab"):
        for split in ("val", "test"):
            write(tmp_path / "predictions" / member, manifest.split(split), split, store, seed)
    return tmp_path, manifest, statistics


def write(folder, manifest, split, store, seed):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(len(manifest), 7, 3)) + 2 * manifest.targets()[:, None]).astype(np.float16)
    scores = ViewScores(logits, GRID)
    broken = np.array([video not in store for video in manifest.videos])
    predictions.table(manifest, broken, scores, "multiscale", {"checkpoint": str(seed)}).write(
        folder / f"{split}.parquet"
    )
    scores.write(folder, split)


def run(corpus, **changes):
    folder, manifest, statistics = corpus
    config = EnsembleConfig(**(SETTINGS | changes))
    return fusion.run(config, manifest, statistics, folder / "predictions", folder / "ensemble")


def scikit_map(scores: np.ndarray, targets: np.ndarray) -> float:
    each = [sklearn.metrics.average_precision_score(t, s) for s, t in zip(scores, targets, strict=True)]
    return 100 * float(np.mean(each))


def test_every_figure_is_scikit_learns(corpus):
    folder, manifest, statistics = corpus
    results = run(corpus)
    for split in ("val", "test"):
        targets = manifest.split(split).targets()
        members = [ViewScores.read(folder / "predictions" / m, split) for m in "ab"]
        for name, member in zip("ab", members, strict=True):
            for protocol in ("clip", "dense", "multiscale"):
                expected = scikit_map(member.probabilities(protocol), targets)
                assert results.members[name][split][protocol] == pytest.approx(expected)
        dense = [member.probabilities("dense") for member in members]
        fused = sum(results.weights[name] * p for name, p in zip("ab", dense, strict=True))
        assert results.ensembles["used"][split] == pytest.approx(scikit_map(fused, targets))
        assert results.ensembles["uniform"][split] == pytest.approx(scikit_map(sum(dense) / 2, targets))
        assert results.prior[split] == pytest.approx(scikit_map(np.tile(statistics.prior, (len(targets), 1)), targets))


def test_denominators_count_broken_videos(corpus):
    results = run(corpus)
    assert results.denominators["test"] == {"n_expected": 3, "n_scored": 2, "n_broken": 1}
    assert results.flat()["videos"]["val_n_expected"] == 6
    figures = json.loads((corpus[0] / "ensemble" / "figures.json").read_text())
    assert figures["ensemble"]["test"]["n_broken"] == 1
    assert figures["a"]["val"]["n_scored"] == 5


def test_only_fitted_weights_have_a_cross_fitted_figure(corpus):
    assert set(run(corpus).ensembles["cross-fitted"]) == {"val"}
    assert "cross-fitted" not in run(corpus, weights="uniform").ensembles


def test_the_outs_are_there_and_agree(corpus):
    results = run(corpus)
    out = corpus[0] / "ensemble"
    assert {file.name for file in out.iterdir()} == {
        "val.parquet",
        "test.parquet",
        "weights.json",
        "submission.csv",
        "tables.md",
        "figures.json",
    }
    table = pd.read_parquet(out / "test.parquet")
    rows = list(csv.DictReader((out / "submission.csv").open()))
    assert [row["video"] for row in rows] == table["video"].tolist()
    for row, scores in zip(rows, table[list(tiny.COLOURS)].to_dict("records"), strict=True):
        assert row["class_1"] == max(scores, key=scores.get)
    assert json.loads((out / "weights.json").read_text())["members"] == results.weights
    text = (out / "tables.md").read_text()
    assert f"{results.members['a']['val']['dense']:.2f}" in text
    assert "cross-fitted" in text


def test_the_same_members_give_the_same_bytes(corpus):
    run(corpus)
    first = {file.name: file.read_bytes() for file in (corpus[0] / "ensemble").iterdir()}
    run(corpus)
    assert {file.name: file.read_bytes() for file in (corpus[0] / "ensemble").iterdir()} == first


def test_an_unlabelled_test_split_is_fused_but_not_scored(corpus, tmp_path):
    folder, manifest, statistics = corpus
    bare = manifest.table.assign(labels=manifest.table["labels"].where(manifest.table["split"] != "test", ""))
    blank = Manifest(bare, manifest.classes)
    for _seed, member in enumerate("ab"):
        table = PredictionTable.read(folder / "predictions" / member / "test.parquet")
        PredictionTable(table.videos, table.broken, ("",) * 3, table.classes, table.probabilities, table.meta).write(
            folder / "predictions" / member / "test.parquet"
        )
    results = fusion.run(EnsembleConfig(**SETTINGS), blank, statistics, folder / "predictions", folder / "ensemble")
    assert set(results.prior) == {"val"}
    assert len((folder / "ensemble" / "submission.csv").read_text().splitlines()) == 4
    assert "nobody labelled them" in (folder / "ensemble" / "tables.md").read_text()


def test_a_member_without_predictions_is_named(corpus):
    with pytest.raises(BadInput, match="predictions/c/val.parquet does not exist"):
        run(corpus, members=("a", "c"))


def test_predictions_that_nobody_asked_for_are_not_used(corpus):
    (corpus[0] / "predictions" / "stale").mkdir()
    (corpus[0] / "predictions" / "stale" / "val.parquet").write_bytes(b"old")
    assert set(run(corpus).weights) == {"a", "b"}


def test_predictions_of_another_manifest_are_refused(corpus):
    folder, manifest, statistics = corpus
    fewer = manifest.without(["val0"])
    with pytest.raises(BadInput, match="6 videos of 3 classes that are not those of the manifest"):
        fusion.run(EnsembleConfig(**SETTINGS), fewer, statistics, folder / "predictions", folder / "ensemble")


def test_members_that_differ_are_refused_and_nothing_is_left_behind(corpus):
    folder, _, _ = corpus
    table = PredictionTable.read(folder / "predictions" / "b" / "val.parquet")
    turned = PredictionTable(
        table.videos[::-1], table.broken, table.labels, table.classes, table.probabilities, table.meta
    )
    turned.write(folder / "predictions" / "b" / "val.parquet")
    with pytest.raises(BadInput, match="'a' and 'b' differ in their videos"):
        run(corpus)
    assert not (folder / "ensemble").exists()
