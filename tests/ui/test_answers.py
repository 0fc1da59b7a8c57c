from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest
from pipeline.predictions.table import PredictionTable
from pipeline.ui.answers import NONE, Answers, disagreement


def manifest(run):
    return Manifest.read(run / "data/manifest.tsv", run / "data/classes.txt")


def tables(run, place):
    return [PredictionTable.read(run / "data" / place / f"{split}.parquet") for split in ("val", "test")]


def test_the_matrix_holds_val_and_then_test_by_class(run, tmp_path):
    found = Answers.read(run / "data/predictions/m1", "m1", manifest(run), tmp_path)
    val, test = tables(run, "predictions/m1")
    assert found.scores.T.tolist() == [*val.probabilities.tolist(), *test.probabilities.tolist()]
    assert isinstance(found.scores, np.memmap)


def test_the_highest_class_is_that_of_each_row_and_broken_videos_have_none(run, tmp_path):
    found = Answers.read(run / "data/ensemble", "ensemble", manifest(run), tmp_path)
    rows = [
        (row, bool(lost))
        for table in tables(run, "ensemble")
        for row, lost in zip(table.probabilities, table.broken, strict=True)
    ]
    assert found.best.tolist() == [NONE if lost else int(np.argmax(row)) for row, lost in rows]
    assert [None if np.isnan(h) else h for h in found.highest] == [None if lost else max(row) for row, lost in rows]
    assert any(lost for _, lost in rows)


def test_members_lie_apart_by_the_widest_range_of_any_class(run, tmp_path):
    members = [Answers.read(run / f"data/predictions/m{n}", f"m{n}", manifest(run), tmp_path) for n in range(3)]
    found = disagreement(members, tmp_path)
    for place in (0, 3, 100, 198):
        rows = [[one.scores[c, place] for one in members] for c in range(7)]
        assert found[place] == max(max(row) - min(row) for row in rows)
    assert np.isnan(found[members[0].best == NONE]).all()
    assert np.isnan(disagreement(members[:1], tmp_path)).all()


def blinded(run, member, to, rows):
    """The prediction files of a member that cannot see the videos of some rows of val."""
    to.mkdir(parents=True)
    for split, table in zip(("val", "test"), tables(run, f"predictions/{member}"), strict=True):
        lost = np.isin(np.arange(len(table.videos)), rows if split == "val" else [])
        replace(table, unseen=lost).write(to / f"{split}.parquet")
    return Answers.read(to, member, manifest(run), to.parent / "scratch")


def test_a_member_that_cannot_see_a_video_is_no_party_to_a_disagreement(run, tmp_path):
    members = [blinded(run, f"m{n}", tmp_path / f"m{n}", rows) for n, rows in enumerate(([0, 1], [1], []))]
    found = disagreement(members, tmp_path)
    pair = disagreement(members[1:], tmp_path / "pair")
    assert found[0] == pair[0] == np.abs(members[1].scores[:, 0] - members[2].scores[:, 0]).max()
    assert np.isnan(found[1])  # one alone answers
    whole = [[one.scores[c, 3] for one in members] for c in range(7)]
    assert found[3] == max(max(row) - min(row) for row in whole)


def test_a_matrix_is_laid_once_and_anew_when_the_file_changes(run, tmp_path, monkeypatch):
    folder, corpus = tmp_path / "m0", manifest(run)
    folder.mkdir()
    for split, table in zip(("val", "test"), tables(run, "predictions/m0"), strict=True):
        table.write(folder / f"{split}.parquet")
    first = Answers.read(folder, "m0", corpus, tmp_path / "scratch")
    with monkeypatch.context() as patch:
        patch.setattr(PredictionTable, "read", None)  # nobody asks for it
        again = Answers.read(folder, "m0", corpus, tmp_path / "scratch")
    assert np.array_equal(first.scores, again.scores)
    tables(run, "predictions/m1")[0].write(folder / "val.parquet")
    other = Answers.read(folder, "m0", corpus, tmp_path / "scratch")
    assert not np.array_equal(first.scores, other.scores)
    assert len([*(tmp_path / "scratch").iterdir()]) == 1


def test_the_lowest_score_of_a_label_is_that_of_a_loop(run, catalogue):
    model = catalogue.models["m2"]
    for video in range(0, len(catalogue), 7):
        scores = catalogue.scores("m2", video)
        labels = catalogue.labels[video]
        expected = None if scores is None else min(scores[label] for label in labels)
        assert (None if np.isnan(model.lowest_label[video]) else model.lowest_label[video]) == expected


def test_files_of_other_videos_and_missing_ones_are_refused(run, tmp_path):
    corpus = manifest(run)
    with pytest.raises(UserError, match="holds other videos or classes than the manifest"):
        Answers.read(run / "data/ensemble", "e", corpus.without(corpus.videos[1:2]), tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        Answers.read(tmp_path / "none", "none", corpus, tmp_path)
