"""The columns of a run against its files, by the ids of the videos."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.segments import Segment
from pipeline.predictions.table import PredictionTable
from pipeline.ui.catalogue import Catalogue
from pipeline.ui.query import Query
from tests.support import finished


@pytest.mark.parametrize(("model", "place"), [("ensemble", "ensemble"), ("m2", "predictions/m2")])
def test_what_a_model_says_of_a_video_is_its_row_in_the_file(run, catalogue, model, place):
    rows = {}
    for split in ("val", "test"):
        table = PredictionTable.read(run / "data" / place / f"{split}.parquet")
        rows |= {
            v: p for v, p, b in zip(table.videos, table.probabilities.tolist(), table.broken, strict=True) if not b
        }
    assert len(rows) == 200 - 8
    by_class = [catalogue.scores_of(model, number).tolist() for number in range(7)]
    for number, video in enumerate(catalogue.videos.to_pylist()):
        scores = catalogue.scores(model, number)
        assert (None if scores is None else scores.tolist()) == rows.get(video)
        if video in rows:
            assert [of_class[number] for of_class in by_class] == rows[video]
            one = catalogue.models[model]
            assert one.right[number] == (catalogue.classes[one.best[number]] in catalogue.names(number))


def test_labels_and_ledger_are_those_of_the_files(run, catalogue):
    manifest = pd.read_csv(run / "data/manifest.tsv", sep="\t", dtype=str).set_index("video")
    for number, video in enumerate(catalogue.videos.to_pylist()):
        assert sorted(catalogue.names(number)) == sorted(manifest.loc[video, "labels"].split(";"))
        assert catalogue.paths[number].as_py() == manifest.loc[video, "path"]
    broken = pd.read_csv(run / "data/broken.tsv", sep="\t", dtype=str)
    assert {catalogue.videos[n].as_py(): one.reason for n, one in catalogue.broken.items()} == dict(
        zip(broken["video"], broken["reason"], strict=True)
    )
    for number, name in enumerate(catalogue.classes):
        having = [v for v in range(len(catalogue)) if name in catalogue.names(v)]
        assert catalogue.labels.have(number).nonzero()[0].tolist() == having


def test_the_ensemble_comes_first_and_a_run_may_have_none(run, catalogue, tmp_path):
    assert list(catalogue.models) == ["ensemble", "m0", "m1", "m2"]
    for name in ("manifest.tsv", "classes.txt", "broken.tsv", "predictions"):
        (tmp_path / name).symlink_to(run / "data" / name)
    assert list(Catalogue.read(tmp_path, tmp_path / "scratch").models) == ["m0", "m1", "m2"]
    (tmp_path / "predictions").unlink()
    with pytest.raises(UserError, match="holds no prediction files"):
        Catalogue.read(tmp_path, tmp_path / "scratch")


def test_a_test_without_labels_is_neither_right_nor_wrong(tmp_path):
    finished.run(tmp_path / "data", labelled=False, weights="uniform")
    catalogue = Catalogue.read(tmp_path / "data", tmp_path / "scratch")
    unlabelled = [n for n, video in enumerate(catalogue.videos.to_pylist()) if video.startswith("test")]
    assert not catalogue.labelled[unlabelled].any()
    assert catalogue.labelled.sum() == len(catalogue) - len(unlabelled)
    assert catalogue.names(unlabelled[0]) == []


def test_rows_with_times_are_segments(run, tmp_path):
    table = pd.read_csv(run / "data/manifest.tsv", sep="\t", dtype=str).assign(start="", end="")
    table.loc[1, ["start", "end"]] = "0.5", "2.0"
    table.loc[2, ["start"]] = "3.0"
    table.to_csv(tmp_path / "manifest.tsv", sep="\t", index=False)
    for name in ("classes.txt", "broken.tsv", "predictions"):
        (tmp_path / name).symlink_to(run / "data" / name)
    assert Catalogue.read(tmp_path, tmp_path / "scratch").spans == {1: Segment(0.5, 2.0), 2: Segment(3.0)}


def test_an_answer_of_which_nobody_knows_is_neither_right_nor_wrong(tmp_path):
    finished.run(tmp_path / "data", videos=40, signal=0.0, unknown=True)
    catalogue = Catalogue.read(tmp_path / "data", tmp_path / "scratch")
    texts = pd.read_csv(tmp_path / "data/manifest.tsv", sep="\t", dtype=str)["labels"].str.split(";")
    nobody = np.zeros(len(catalogue), bool)
    found: dict[str, set[int]] = {
        outcome: set(Query(outcome=outcome).rows(catalogue, nobody).tolist()) for outcome in ("right", "wrong")
    }
    model, unjudged = catalogue.models["ensemble"], 0
    for number, names in enumerate(texts):
        answer = catalogue.classes[model.best[number]] if model.best[number] >= 0 else None
        assert {catalogue.classes[n] for n in catalogue.unknown[number]} == {n[1:] for n in names if n[0] == "?"}
        assert (number in found["right"]) == (answer in names)
        assert (number in found["wrong"]) == (answer is not None and not {answer, f"?{answer}"} & set(names))
        unjudged += f"?{answer}" in names
    assert unjudged == model.unjudged.sum() > 5
