import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UserError
from pipeline.predictions import table as prediction_table
from pipeline.predictions.table import PredictionTable

GRID = {"views": [{"crop": "left"}, {"crop": "centre"}], "protocols": {"clip": [1], "dense": [0, 1]}}


def table(**changes) -> PredictionTable:
    values = dict(
        videos=("a.mp4", "b.mp4"),
        broken=np.array([False, True]),
        labels=("run;jump", "run"),
        classes=("jump", "run"),
        probabilities=np.array([[0.25, 0.75], [0.5, 1.0]], dtype=np.float32),
        meta={"model": "tsn"},
    )
    return PredictionTable(**(values | changes))


def test_pandas_reads_ids_labels_and_named_class_columns(tmp_path):
    table().write(tmp_path / "val.parquet")
    frame = pd.read_parquet(tmp_path / "val.parquet")
    assert list(frame.columns) == ["video", "status", "labels", "jump", "run"]
    assert frame.iloc[0].tolist() == ["a.mp4", "ok", "run;jump", 0.25, 0.75]
    assert frame.iloc[1].tolist() == ["b.mp4", "broken", "run", 0.5, 1.0]
    assert frame["run"].dtype == np.float32


def test_a_table_survives_the_round_trip(tmp_path):
    table().write(tmp_path / "val.parquet")
    read = PredictionTable.read(tmp_path / "val.parquet")
    assert (read.videos, read.labels, read.classes, read.meta) == (
        table().videos,
        table().labels,
        table().classes,
        {"model": "tsn"},
    )
    np.testing.assert_array_equal(read.broken, table().broken)
    np.testing.assert_array_equal(read.probabilities, table().probabilities)


def test_videos_that_the_model_cannot_see_survive_the_round_trip(tmp_path):
    table(broken=np.array([False, False]), unseen=np.array([True, False])).write(tmp_path / "val.parquet")
    assert pd.read_parquet(tmp_path / "val.parquet")["status"].tolist() == ["unseen", "ok"]
    read = PredictionTable.read(tmp_path / "val.parquet")
    assert (read.unseen.tolist(), read.broken.tolist()) == ([True, False], [False, False])
    assert read.seen.tolist() == [False, True]


def test_a_model_sees_every_video_that_gave_frames_unless_it_says_otherwise():
    assert table().unseen.tolist() == [False, False]
    assert table().seen.tolist() == [True, False]


def test_a_broken_video_is_not_called_unseen_besides():
    assert table(unseen=np.array([True, True])).unseen.tolist() == [True, False]


def test_the_same_table_gives_the_same_bytes(tmp_path):
    table().write(tmp_path / "a.parquet")
    table().write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_table_that_names_no_task_is_multi_label():
    assert table().task == "multi_label"
    assert table(meta={"task": "single_label"}).task == "single_label"


def test_a_task_that_there_is_not_is_refused(tmp_path):
    table(meta={"task": "ranking"}).write(tmp_path / "val.parquet")
    with pytest.raises(UserError, match="val.parquet: the task 'ranking' is none of multi_label, single_label"):
        PredictionTable.read(tmp_path / "val.parquet")


def test_targets_follow_the_order_of_the_classes():
    assert table().targets().tolist() == [[1, 1], [0, 1]]


def test_a_table_without_a_label_cannot_be_scored():
    assert table().labelled
    assert not table(labels=("run", "")).labelled


@pytest.mark.parametrize(
    ("content", "message"), [(None, "does not exist"), (b"PAR1 but not really", "no readable Parquet")]
)
def test_an_unreadable_file_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "val.parquet").write_bytes(content)
    with pytest.raises(UserError, match=f"val.parquet.*{message}"):
        PredictionTable.read(tmp_path / "val.parquet")


def test_a_table_of_another_program_is_refused(tmp_path):
    pd.DataFrame({"id": ["a"], "run": [0.5]}).to_parquet(tmp_path / "val.parquet")
    with pytest.raises(UserError, match="columns"):
        PredictionTable.read(tmp_path / "val.parquet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(videos=("a.mp4", "a.mp4")), r"val.parquet, row 2: the video 'a.mp4' stands there a second time"),
        (
            dict(probabilities=np.array([[0.5, 0.5], [0.5, np.nan]], np.float32)),
            r"val.parquet, row 2 \(video 'b.mp4'\): the score of 'run' is nan",
        ),
        (dict(probabilities=np.array([[np.inf, 0.5], [0.5, 0.5]], np.float32)), r"row 1 .*score of 'jump' is inf"),
        (
            dict(probabilities=np.array([[0.5, 0.5], [0.5, 7.5]], np.float32)),
            r"row 2 \(video 'b.mp4'\): the score of 'run' is 7.5.*0\.\.1",
        ),
        (dict(probabilities=np.array([[-0.5, 0.5], [0.5, 1]], np.float32)), r"row 1 .*'jump' is -0.5.*0\.\.1"),
        (dict(labels=("run;jump", "run;walk")), r"row 2: no column of a class is called 'walk'"),
        (dict(labels=("run", None)), r"row 2: no column of a class is called None"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_its_row(tmp_path, changes, message):
    table(**changes).write(tmp_path / "val.parquet")
    with pytest.raises(UserError, match=message):
        PredictionTable.read(tmp_path / "val.parquet")


def test_a_class_that_stands_there_twice_is_refused(tmp_path):
    columns = [pa.array([text]) for text in ("a.mp4", "ok", "run")] + [pa.array([0.5])] * 2
    pq.write_table(pa.Table.from_arrays(columns, ["video", "status", "labels", "run", "run"]), tmp_path / "val.parquet")
    with pytest.raises(UserError, match=r"two columns 'run' \(number 5"):
        PredictionTable.read(tmp_path / "val.parquet")


COLUMNS = {"video": ["a", "b"], "status": ["ok", "broken"], "labels": ["run", ""], "run": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(run=["0.5", "1"]), r"the column 'run' holds (large_)?string, not floating-point"),
        (dict(run=[[0.5], [1.0]]), "the column 'run' holds list<.*not floating-point"),
        (dict(video=[1, 2]), "the column 'video' holds int64, not text"),
        (dict(labels=[["run"], []]), "the column 'labels' holds list<.*not text"),
        (dict(status=["ok", "fine"]), "row 2: the status is 'fine', none of 'ok', 'broken', 'unseen'"),
        (dict(status=[None, "ok"]), "row 1: the status is None"),
        (dict(run=[0.5, None]), "row 2 .*'run' is nan"),
        (dict(run=None), "has no column of a class"),
    ],
)
def test_columns_that_another_program_wrote_are_refused(tmp_path, changes, message):
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    pq.write_table(pa.table(columns), tmp_path / "val.parquet")
    with pytest.raises(UserError, match=f"val.parquet.*{message}"):
        PredictionTable.read(tmp_path / "val.parquet")


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[]", b"1"])
def test_metadata_that_are_no_json_object_are_refused(tmp_path, text):
    pq.write_table(pa.table(COLUMNS).replace_schema_metadata({b"prediction": text}), tmp_path / "val.parquet")
    with pytest.raises(UserError, match="val.parquet: the metadata `prediction` are no JSON"):
        PredictionTable.read(tmp_path / "val.parquet")


def test_a_large_table_is_checked_quickly(tmp_path):
    names = tuple(f"class {i}" for i in range(313))
    videos = tuple(f"{i}.mp4" for i in range(10_000))
    scores = np.random.default_rng(0).random((10_000, 313), np.float32)
    labels = tuple(f"class {i % 313};class {i % 100}" for i in range(10_000))
    table(videos=videos, broken=np.zeros(10_000, bool), labels=labels, classes=names, probabilities=scores).write(
        tmp_path / "val.parquet"
    )
    started = time.process_time()
    PredictionTable.read(tmp_path / "val.parquet")
    assert time.process_time() - started < 5


def test_the_first_repetition_is_found_quickly_in_a_long_list():
    names = [str(i) for i in range(30_000)]
    started = time.process_time()
    assert prediction_table.repeated(names) is None
    assert prediction_table.repeated([*names, "29999", "0"]) == 30_000
    assert time.process_time() - started < 5


def test_a_label_that_nobody_knows_survives_the_round_trip(tmp_path):
    table(labels=("run;?jump", "?run")).write(tmp_path / "val.parquet")
    read = PredictionTable.read(tmp_path / "val.parquet")
    assert read.targets().tolist() == [[-1, 1], [0, -1]]
    assert read.labelled


def test_a_label_that_nobody_knows_is_that_of_a_column(tmp_path):
    table(labels=("run;?dive", "run")).write(tmp_path / "val.parquet")
    with pytest.raises(UserError, match="row 1: no column of a class is called 'dive', as a label is"):
        PredictionTable.read(tmp_path / "val.parquet")
