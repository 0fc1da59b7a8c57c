"""Scores of other programs: made into prediction files, or refused with the line."""

import hashlib
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax

from pipeline import class_stats
from pipeline.core.broken_videos import BrokenVideo, write_broken
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.ensemble.config import EnsembleConfig
from pipeline.ensemble.run import run_ensemble
from pipeline.predictions import import_scores, result_pickle
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores, protocol_table
from tests.support.command import call

CLASSES = ["jump", "run"]
SCORES = {"v1": [0.25, 0.75], "v2": [0.9, 0.2], "t1": [0.0, 1.0], "t2": [0.5, 0.125]}
HOSTILE = b"cos\nsystem\n(S'true'\ntR."


@pytest.fixture
def data(tmp_path):
    """Two videos of every split, and a third test video that is broken."""
    split = {"r": "train", "v": "val", "t": "test"}
    names = ["r1", "r2", *SCORES, "t3"]
    rows = [VideoRecord(n, split[n[0]], n, "jump" if n[1] == "2" else "run;jump", "1-x") for n in names]
    manifest = Manifest.from_records(rows, CLASSES)
    folder = tmp_path / "data"
    manifest.write(folder / "manifest.tsv", folder / "classes.txt")
    class_stats.write(folder / "stats", manifest.split("train"), expected=2)
    write_broken(folder / "broken.tsv", [BrokenVideo("t3", "test", "t3", "empty", "0 bytes")])
    return folder


def frame(**changes) -> pd.DataFrame:
    rows = {**SCORES, **changes}
    table = pd.DataFrame([[v, *s] for v, s in rows.items() if s is not None], columns=["video", *CLASSES])
    return table


def run(data, *files, **options) -> None:
    flags = []
    for key, values in options.items():
        for value in values if isinstance(values, list) else [values]:
            flags += [f"--{key}", value]
    call("scores", "import", *files, "--as", "theirs", "--data", data, *flags)


def read(data, split) -> PredictionTable:
    return PredictionTable.read(data / "predictions/theirs" / f"{split}.parquet")


def test_an_id_in_a_parquet_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "scores.parquet"
    pd.DataFrame({"video": ["clip_a"], "x": [0.5]}).to_parquet(path)
    path.write_bytes(path.read_bytes().replace(b"clip_a", b"clip_\x80"))
    with pytest.raises(UserError, match=r"scores\.parquet cannot be read \(.*UTF8"):
        import_scores.read_scores([path], "video", [], None, set())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_becomes_prediction_files(data, tmp_path, capsys, kind):
    table = frame().iloc[::-1]  # rows may come in any order
    path = tmp_path / f"scores.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    run(data, path)
    assert "add 'theirs' to ensemble.members" in capsys.readouterr().out
    val, test = read(data, "val"), read(data, "test")
    assert (val.videos, val.labels) == (("v1", "v2"), ("run;jump", "jump"))
    np.testing.assert_allclose(val.probabilities, [SCORES["v1"], SCORES["v2"]], atol=5e-4)
    np.testing.assert_allclose(test.probabilities[:2], [SCORES["t1"], SCORES["t2"]], atol=5e-4)
    assert test.broken.tolist() == [False, False, True]
    np.testing.assert_allclose(test.probabilities[2], [1, 0.5], atol=1e-3)  # the share of the train videos
    views = ViewScores.read(data / "predictions/theirs", "test")
    assert views.logits.shape == (3, 1, 2)
    for protocol in ("clip", "dense", "multiscale"):
        np.testing.assert_array_equal(views.probabilities(protocol), test.probabilities)


def test_a_file_a_split_will_do(data, tmp_path):
    frame().iloc[:2].to_csv(tmp_path / "val.csv", index=False)
    frame().iloc[2:].to_csv(tmp_path / "test.csv", index=False)
    run(data, tmp_path / "val.csv", tmp_path / "test.csv")
    assert read(data, "test").videos == ("t1", "t2", "t3")


def test_logits_are_taken_as_they_are(data, tmp_path):
    frame(v1=[-3.0, 8.0]).to_csv(tmp_path / "a.csv", index=False)
    run(data, tmp_path / "a.csv", values="logits")
    assert ViewScores.read(data / "predictions/theirs", "val").logits[0, 0].tolist() == [-3, 8]


@pytest.mark.parametrize(("value", "stored"), [(65504, True), (-65504, True), (65505, False), (-1e30, False)])
def test_logits_are_refused_where_float16_ends(data, tmp_path, value, stored):
    frame(v1=[value, 1.0]).to_csv(tmp_path / "a.csv", index=False)
    if stored:
        run(data, tmp_path / "a.csv", values="logits")
        assert ViewScores.read(data / "predictions/theirs", "val").logits[0, 0].tolist() == [value, 1]
    else:
        with pytest.raises(UserError, match=r"a.csv, line 2: logits from .*65504 is the largest"):
            run(data, tmp_path / "a.csv", values="logits")


def test_a_rounding_error_beyond_0_and_1_is_none(data, tmp_path):
    frame(v1=[-9e-7, 1.0000001]).to_csv(tmp_path / "a.csv", index=False)
    run(data, tmp_path / "a.csv")
    np.testing.assert_allclose(read(data, "val").probabilities[0], [0, 1], atol=1e-6)


def test_the_column_of_ids_may_have_another_name(data, tmp_path):
    table = frame().rename(columns={"video": "clip"})
    table["video"] = "not an id"  # a reserved name, which is no class
    table.to_csv(tmp_path / "a.csv", index=False)
    run(data, tmp_path / "a.csv", id="clip")
    np.testing.assert_allclose(read(data, "val").probabilities, [SCORES["v1"], SCORES["v2"]], atol=5e-4)


@pytest.mark.parametrize("column", ["video", "clip"])
def test_ids_that_look_like_numbers_stay_what_they_are(tmp_path, column):
    (tmp_path / "a.csv").write_text(f"{column},jump,run\n007,0.5,1\n1e3,0.5,1\n1.50,0.5,1\n")
    (scores,) = import_scores.read_scores([tmp_path / "a.csv"], column, [], None, set())
    assert scores.videos == ["007", "1e3", "1.50"]


@pytest.mark.parametrize("values", ["0.5,", "n/a,broken", "7,-7", ","])
def test_nothing_is_looked_at_in_the_rows_of_broken_videos(data, tmp_path, values):
    text = frame().to_csv(index=False)
    (tmp_path / "a.csv").write_text(f"{text}t3,{values}\n")
    run(data, tmp_path / "a.csv")
    np.testing.assert_allclose(read(data, "test").probabilities[2], [1, 0.5], atol=1e-3)


def test_blank_lines_are_none_and_lines_are_still_counted(data, tmp_path):
    head, *rows = frame(v2=[0.5, "much"]).to_csv(index=False).splitlines()
    (tmp_path / "a.csv").write_text("\n".join([head, rows[0], "", ",,", *rows[1:], "", ""]) + "\n")
    with pytest.raises(UserError, match="a.csv, line 5: 'much' is no score of 'run'"):
        run(data, tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text().replace("much", "0.5"))
    run(data, tmp_path / "a.csv")


def test_a_byte_order_mark_is_no_part_of_a_name(data, tmp_path):
    (tmp_path / "a.csv").write_text(frame().to_csv(index=False), encoding="utf-8-sig")
    run(data, tmp_path / "a.csv")


def test_a_header_too_long_for_a_table_is_refused(data, tmp_path):
    (tmp_path / "a.csv").write_text(f"video,{'x' * 140_000}\nv1,0.5\n")
    with pytest.raises(UserError, match="a.csv cannot be read .*field limit"):
        run(data, tmp_path / "a.csv")


def test_files_of_one_name_are_told_apart_in_the_metadata(data, tmp_path):
    files = [tmp_path / split / "scores.csv" for split in ("val", "test")]
    for file, rows in zip(files, (slice(2), slice(2, None)), strict=True):
        file.parent.mkdir()
        frame().iloc[rows].to_csv(file, index=False)
    run(data, *files)
    hashes = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert read(data, "val").meta["source"] == read(data, "test").meta["source"] == hashes


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame(v9=[0, 0]), r"a.csv, line 6: the video 'v9' is not in the manifest"),
        (frame(r1=[0, 0]), r"a.csv, line 6: the video 'r1' is a train video"),
        (frame(t1=None), r"a.csv: 1 of 5 videos are missing: t1"),
        (frame(v2=[0.5, float("nan")]), r"a.csv, line 3 \(video 'v2'\): the score of 'run' is nan"),
        (frame(v2=[0.5, "much"]), r"a.csv, line 3: 'much' is no score of 'run'"),
        (pd.concat([frame(), frame().iloc[1:2]]), r"a.csv, line 6: the video 'v2' stands there a second time"),
        (frame()[["video", "run", "jump"]], r"another order.*position 1 \('run' instead of 'jump'\)"),
        (frame().rename(columns={"run": "walk"}), r"missing run; unknown walk"),
        (frame().assign(swim=0.5), r"its 3 classes are not the 2.*unknown swim"),
        (frame(v1=[0.5, 1.5]), r"a.csv, line 2: probabilities from 0.5 to 1.5.*--values logits"),
        (frame(v1=[2.5, 27.5]), r"a.csv, line 2: probabilities from 2.5 to 27.5.*sums over the views.*--views"),
        (frame(v1=[-2e-6, 0.5]), r"a.csv, line 2: probabilities from -2e-06 to 0.5, not in 0..1"),
        (frame(v1=[0.5, 1.00001]), r"a.csv, line 2: probabilities from 0.5 to 1.00001, not in 0..1"),
        (frame(**{"": [0.5, 0.5]}), r"a.csv, line 6: the row has no id in the column 'video'"),
        (frame(NA=[0.5, 0.5]), r"a.csv, line 6: the video 'NA' is not in the manifest"),
        (frame().rename(columns={"video": "id"}), r"no column 'video'; name that of the ids with --id. It has id"),
        (frame().set_axis(["video", "run", "run"], axis=1), r"line 1: the column 'run' stands there twice"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(data, tmp_path, table, message):
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match=message):
        run(data, tmp_path / "a.csv")
    assert not (data / "predictions").exists()


def test_a_video_in_two_files_is_refused(data, tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    frame().iloc[:1].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UserError, match=r"b.csv, line 2: the video 'v1' stood in .*a.csv, line 2"):
        run(data, tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_model_of_this_project_is_not_overwritten(data, tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    run(data, tmp_path / "a.csv")
    run(data, tmp_path / "a.csv")  # its own files may be made again
    scores = ViewScores(np.zeros((2, 1, 2), np.float16), {"views": [{"clip": 0}], "protocols": {"clip": [0]}})
    scores.write(data / "predictions/theirs", "val")
    with pytest.raises(UserError, match="predictions of a model of this project"):
        run(data, tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "theirs/", ".hidden", "/theirs", "ensemble", "prior"])
def test_a_name_that_is_no_free_folder_is_refused_and_nothing_is_lost(data, tmp_path, name):
    frame().to_csv(tmp_path / "a.csv", index=False)
    kept = data / "predictions/ours/val.parquet"
    kept.parent.mkdir(parents=True)
    kept.write_text("predictions of a model")
    with pytest.raises(UserError, match=f"--as {name!r}"):
        call("scores", "import", tmp_path / "a.csv", "--as", name, "--data", data)
    assert kept.is_file()
    assert [file.name for file in kept.parents[1].iterdir()] == ["ours"]


def test_a_folder_of_other_files_is_not_replaced(data, tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    note = data / "predictions/theirs/notes.txt"
    note.parent.mkdir(parents=True)
    note.write_text("by hand")
    with pytest.raises(UserError, match="what `pipeline scores import` did not write"):
        run(data, tmp_path / "a.csv")
    assert note.is_file()


def pickled(tmp_path, content) -> dict:
    """A result pickle, and the lists that name its rows and columns."""
    (tmp_path / "a.pkl").write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    (tmp_path / "ids.txt").write_text("".join(f"{v}\n" for v in SCORES))
    (tmp_path / "names.txt").write_text("jump\nrun\n")
    return {"ids": tmp_path / "ids.txt", "names": tmp_path / "names.txt"}


VALUES = np.array(list(SCORES.values()), np.float32)
SOFTMAX = np.array([[0.25, 0.75], [0.9, 0.1], [0.0, 1.0], [0.5, 0.5]], np.float32)
LAYOUTS = {
    "mmaction2 0.x": list(VALUES),
    "mmaction2 1.0": [{"pred_scores": {"item": torch.tensor(v)}, "gt_label": 1} for v in VALUES],
    "mmaction2 1.2": [{"sample_idx": 0, "pred_score": torch.tensor(v), "gt_label": torch.tensor([1])} for v in VALUES],
    "PySlowFast": [torch.tensor(VALUES), torch.ones(4, 2)],
    "PySlowFast, NumPy": [VALUES, np.ones((4, 2))],
    "PySlowFast, one label a video": [torch.tensor(VALUES), torch.zeros(4).long()],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_result_pickles_are_read(data, tmp_path, layout):
    run(data, tmp_path / "a.pkl", **pickled(tmp_path, LAYOUTS[layout]))
    np.testing.assert_allclose(read(data, "val").probabilities, VALUES[:2], atol=5e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HOSTILE, "asks for `os.system`"),
        ([VALUES[0]], "holds scores of 1 videos and 2 classes, .* names 4 videos"),
        ([{"gt_label": 1}] * 4, "sample 0 has no pred_score, only gt_label"),
        (VALUES[None], r"shape \(1, 4, 2\)"),
        ([VALUES[0], VALUES[0][:1]], "no list of score vectors of one length"),
        (VALUES + 1j, "holds complex64 and no real numbers"),
        ([torch.tensor(VALUES + 1j), torch.ones(4)], "holds complex64 and no real numbers"),
        ([["much", "more"]] * 4, "no real numbers"),
        ([VALUES * 30, np.ones(4)], r"ids.txt, line 1: probabilities from 7.5 to 22.5.*--views"),
        ([SOFTMAX * 30, np.ones(4)], r"ids.txt: each row sums to 30, and with --views 1 .*Take --views 30"),
        ([VALUES, np.ones(3)], "no list of score vectors|shape"),
        ([torch.tensor(VALUES), torch.tensor(VALUES)], "a.pkl: its scores are its labels, number by number"),
        ([np.eye(2)[[0, 1, 0, 1]], np.eye(2)[[0, 1, 0, 1]]], "its scores are its labels"),
        ([np.eye(2)[[0, 1, 0, 1]], np.ones(4)], "ids.txt holds 0 and 1 alone: labels, or decisions"),
    ],
)
def test_other_pickles_are_refused(data, tmp_path, content, message):
    names = pickled(tmp_path, content)
    with pytest.raises(UserError, match=message):
        run(data, tmp_path / "a.pkl", **names)


def test_a_pickle_needs_names(data, tmp_path):
    pickled(tmp_path, [VALUES, VALUES])
    with pytest.raises(UserError, match="1 pickles, 0 --ids and 0 --names.* Give --ids .* and --names"):
        run(data, tmp_path / "a.pkl")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_sums_over_views_are_divided_in_any_precision(data, tmp_path, dtype):
    sums = torch.tensor([[8.0, 24.0]] * 4, dtype=dtype)
    names = pickled(tmp_path, [sums, torch.zeros(4).long()])
    run(data, tmp_path / "a.pkl", views=32, **names)
    np.testing.assert_allclose(read(data, "val").probabilities, [[0.25, 0.75]] * 2, atol=5e-4)


@pytest.mark.parametrize("views", [0, -30])
def test_a_number_of_views_that_is_none_is_refused(data, tmp_path, views, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(data, tmp_path / "a.pkl", views=views)
    assert f"--views: '{views}' is no whole number" in capsys.readouterr().err


def test_pickles_of_val_and_test_have_a_list_of_ids_each(data, tmp_path):
    names = pickled(tmp_path, list(VALUES))["names"]
    lists = [tmp_path / "v.txt", tmp_path / "t.txt"]
    for file, ids in zip(lists, (("v2", "v1"), ("t1", "t2")), strict=True):
        file.with_suffix(".pkl").write_bytes(pickle.dumps([np.array(SCORES[v], np.float32) for v in ids]))
        file.write_text("\ufeff" + "\n".join(ids))
    files = [file.with_suffix(".pkl") for file in lists]
    run(data, *files, ids=lists, names=names)
    np.testing.assert_allclose(read(data, "val").probabilities, [SCORES["v1"], SCORES["v2"]], atol=5e-4)
    np.testing.assert_allclose(read(data, "test").probabilities[1], SCORES["t2"], atol=5e-4)
    for given in ({"ids": lists[:1], "names": names}, {"ids": lists}, {"ids": [*lists, lists[0]], "names": names}):
        with pytest.raises(UserError, match=r"There are 2 pickles, \d --ids and [01] --names"):
            run(data, *files, **given)


@pytest.mark.parametrize("content", [None, "v\xe9\n".encode("latin-1")])
@pytest.mark.parametrize("which", ["ids", "names"])
def test_a_list_that_cannot_be_read_is_named(data, tmp_path, which, content):
    names = pickled(tmp_path, list(VALUES))
    names[which].unlink() if content is None else names[which].write_bytes(content)
    with pytest.raises(UserError, match=f"{which}.txt cannot be read .*UTF-8"):
        run(data, tmp_path / "a.pkl", **names)


@pytest.mark.parametrize("name", result_pickle.TENSORS)
def test_a_pickle_cannot_alter_what_stands_for_a_tensor(data, tmp_path, name):
    module, function = name.rsplit(".", 1)
    alter = f"c{module}\n{function}\n(dS'__defaults__'\n(I1\ntsb.".encode()  # BUILD with {"__defaults__": (1,)}
    with pytest.raises(UserError, match="the state of a function"):
        run(data, tmp_path / "a.pkl", **pickled(tmp_path, alter))


def test_imported_scores_are_a_member_of_an_ensemble(data, tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    run(data, tmp_path / "a.csv")
    manifest, found = Manifest.read(data / "manifest.tsv", data / "classes.txt"), {}
    for split in ("val", "test"):
        some = manifest.split(split)
        found[split] = ViewScores(np.zeros((len(some), 1, 2), np.float16), import_scores.GRID)
        broken = np.array([video == "t3" for video in some.videos])
        protocol_table(some, broken, found[split], "multiscale", {}).write(data / f"predictions/ours/{split}.parquet")
        found[split].write(data / "predictions/ours", split)
    config = EnsembleConfig(
        members=("ours", "theirs"), protocol="multiscale", weights="given", mean="probability",
        given={"ours": 1.0, "theirs": 3.0}, subsets={}, starts=0, shrinkage=0.0, folds=2, resamples=10, seed=0, top=2,
    )  # fmt: skip
    counted = class_stats.ClassStatistics.read(data / "stats")
    run_ensemble(config, manifest, counted, data / "predictions", data / "ensemble")
    fused = PredictionTable.read(data / "ensemble/val.parquet")
    np.testing.assert_allclose(fused.probabilities, 0.25 * 0.5 + 0.75 * VALUES[:2], atol=5e-4)


@pytest.fixture
def one_label(tmp_path):
    """A video of each class in every split, with one label each."""
    splits = {"r": "train", "v": "val", "t": "test"}
    rows = [
        VideoRecord(f"{s}{n}", split, f"{s}{n}", c, "1-x") for s, split in splits.items() for n, c in enumerate(CLASSES)
    ]
    manifest, folder = Manifest.from_records(rows, CLASSES), tmp_path / "one"
    manifest.write(folder / "manifest.tsv", folder / "classes.txt")
    class_stats.write(folder / "stats", manifest.split("train"), expected=2)
    write_broken(folder / "broken.tsv", [])
    return folder


def import_one(folder, tmp_path, scores: list[list[float]], **options) -> None:
    table = pd.DataFrame(scores, columns=CLASSES)
    table.insert(0, "video", ["v0", "v1", "t0", "t1"])
    table.to_csv(tmp_path / "one.csv", index=False)
    run(folder, tmp_path / "one.csv", **options)


@pytest.mark.parametrize("task", ["single_label", "auto"])
def test_probabilities_of_one_label_a_video_come_back_as_they_were(one_label, tmp_path, task):
    scores = [[0.25, 0.75], [1.0, 0.0], [0.5, 0.5], [0.001, 0.999]]
    import_one(one_label, tmp_path, scores, task=task)
    table = read(one_label, "val")
    assert table.task == "single_label"
    np.testing.assert_allclose(table.probabilities, scores[:2], atol=1e-3)
    np.testing.assert_allclose(read(one_label, "test").probabilities, scores[2:], atol=1e-3)


def test_logits_of_one_label_a_video_become_their_softmax(one_label, tmp_path):
    scores = [[2.0, -1.0], [0.0, 0.0], [7.0, 3.0], [-4.0, 4.0]]
    import_one(one_label, tmp_path, scores, task="single_label", values="logits")
    np.testing.assert_allclose(read(one_label, "val").probabilities, softmax(scores[:2], axis=1), rtol=1e-6)


def test_probabilities_of_one_label_a_video_that_do_not_sum_to_one_are_refused(one_label, tmp_path):
    with pytest.raises(UserError, match=r"one.csv, line 3: the probabilities sum to 1.1, not to 1.*--values logits"):
        import_one(one_label, tmp_path, [[0.25, 0.75], [0.9, 0.2], [0.5, 0.5], [0.5, 0.5]], task="single_label")


def test_a_softmax_that_is_called_logits_is_refused(one_label, tmp_path):
    with pytest.raises(UserError, match=r"one.csv: each row sums to 1, as probabilities .* --values probabilities\."):
        import_one(one_label, tmp_path, [[0.25, 0.75], [0.9, 0.1], [0.5, 0.5], [0.4, 0.6]], values="logits")
    with pytest.raises(UserError, match=r"softmax do over 10 views, .* --values probabilities --views 10\."):
        import_one(one_label, tmp_path, [[2.5, 7.5], [9.0, 1.0], [5.0, 5.0], [4.0, 6.0]], values="logits")


def test_another_number_of_views_than_the_sums_show_is_refused(one_label, tmp_path):
    with pytest.raises(UserError, match=r"each row sums to 10, and with --views 30 it would be 30"):
        import_one(one_label, tmp_path, [[2.5, 7.5], [9.0, 1.0], [5.0, 5.0], [4.0, 6.0]], views=30)


def test_a_softmax_for_a_corpus_of_several_labels_is_taken_and_said(data, tmp_path, caplog):
    run(data, tmp_path / "a.pkl", **pickled(tmp_path, list(SOFTMAX)))
    assert "each row sums to 1, as of a softmax" in caplog.text


def test_videos_of_several_labels_are_no_corpus_of_one_label(data, tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="dataset.task is single_label, but r1 has the labels"):
        run(data, tmp_path / "a.csv", task="single_label")
