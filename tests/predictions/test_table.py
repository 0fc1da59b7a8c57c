import json
import math
import time
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.predictions import table as prediction_table
from pipeline.predictions.table import PredictionTable, ViewScores

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


def test_the_same_table_gives_the_same_bytes(tmp_path):
    table().write(tmp_path / "a.parquet")
    table().write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_table_that_names_no_task_is_multi_label():
    assert table().task == "multi_label"
    assert table(meta={"task": "single_label"}).task == "single_label"


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


def view_scores() -> ViewScores:
    logits = np.array([[[0, 2], [0, -2]], [[4, 4], [1, -60000]]], dtype=np.float16)  # (V, K, C)
    return ViewScores(logits, GRID)


def test_a_protocol_is_the_mean_of_the_sigmoids_of_its_views():
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    dense = view_scores().probabilities("dense")
    assert dense[0, 0] == 0.5
    assert dense[0, 1] == pytest.approx((sigmoid(2.0) + sigmoid(-2.0)) / 2)  # 0.5, not sigmoid of the mean by luck
    assert dense[1, 0] == pytest.approx((sigmoid(4.0) + sigmoid(1.0)) / 2)
    assert view_scores().probabilities("clip")[0].tolist() == pytest.approx([0.5, sigmoid(-2.0)])


@pytest.mark.filterwarnings("error")
def test_the_largest_logits_do_not_overflow():
    assert view_scores().probabilities("clip")[1, 1] == 0


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UserError, match="no protocol 'densse', only clip, dense"):
        view_scores().probabilities("densse")


def test_views_survive_the_round_trip_and_name_their_axes(tmp_path):
    view_scores().write(tmp_path, "val")
    read = ViewScores.read(tmp_path, "val")
    np.testing.assert_array_equal(read.logits, view_scores().logits)
    assert read.logits.dtype == np.float16
    assert read.grid == GRID
    assert [axis.split()[0] for axis in json.loads((tmp_path / "val.views.json").read_text())["axes"]] == [
        "video",
        "view",
        "class",
    ]


def test_views_of_another_shape_than_the_json_says_are_refused(tmp_path):
    view_scores().write(tmp_path, "val")
    np.save(tmp_path / "val.views.npy", np.zeros((1, 2, 2), np.float16))
    with pytest.raises(UserError, match=r"has the shape \(1, 2, 2\)"):
        ViewScores.read(tmp_path, "val")


def test_a_truncated_array_is_refused(tmp_path):
    view_scores().write(tmp_path, "val")
    data = (tmp_path / "val.views.npy").read_bytes()
    (tmp_path / "val.views.npy").write_bytes(data[:-4])
    with pytest.raises(UserError, match="cannot be read"):
        ViewScores.read(tmp_path, "val")


def test_the_parquet_can_be_recomputed_from_the_views(tmp_path):
    records = [VideoRecord(v, "val", v, "run", "1-x") for v in ("a", "b")]
    manifest = Manifest(pd.DataFrame(records), ("jump", "run"))
    made = prediction_table.protocol_table(manifest, np.array([False, False]), view_scores(), "dense", {"model": "tsn"})
    made.write(tmp_path / "val.parquet")
    view_scores().write(tmp_path, "val")
    again = ViewScores.read(tmp_path, "val").probabilities(made.meta["protocol"])
    np.testing.assert_array_equal(PredictionTable.read(tmp_path / "val.parquet").probabilities, again)


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
        (dict(status=["ok", "fine"]), "row 2: the status is 'fine', neither 'ok' nor 'broken'"),
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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("npy", b"", r"val.views.npy cannot be read"),
        ("npy", np.zeros((2, 2), np.float16), r"val.views.npy holds no numbers of the shape \(videos"),
        ("npy", np.zeros((2, 2, 2), np.int32), r"val.views.npy holds no numbers"),
        ("npy", np.array([[["a"] * 2] * 2] * 2), r"val.views.npy holds no numbers"),
        ("json", b"{", r"val.views.json cannot be read"),
        ("json", b"{}", r"val.views.json cannot be read .*shape"),
        ("json", b"[]", r"val.views.json cannot be read"),
        ("json", b"\xff", r"val.views.json cannot be read"),
        ("json", dict(shape=2), r"val.views.json cannot be read"),
        ("json", dict(shape=[]), r"val.views.json has 2 views and 2 protocols of the shape \[\]"),
        ("json", dict(views=[{}]), r"val.views.json has 1 views and 2 protocols of the shape"),
        ("json", dict(views=["left", "right"]), r"val.views.json cannot be read"),
        ("json", dict(protocols={}), r"val.views.json has 2 views and 0 protocols"),
        ("json", dict(protocols=[0]), r"val.views.json cannot be read"),
        ("json", dict(protocols={"clip": [0.5]}), r"val.views.json cannot be read"),
        ("json", dict(protocols={"clip": [0], "dense": []}), r"val.views.json: the protocol 'dense' averages .*\[\]"),
        ("json", dict(protocols={"clip": [0, 2]}), r"val.views.json: the protocol 'clip' averages .*\[0, 2\], of 2"),
        ("json", dict(protocols={"clip": [-1]}), r"val.views.json: the protocol 'clip' averages .*\[-1\], of 2"),
    ],
)
def test_views_that_are_damaged_are_refused_by_name(tmp_path, name, content, message):
    folder = tmp_path / "net"
    view_scores().write(folder, "val")
    path = folder / f"val.views.{name}"
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, dict):
        path.write_text(json.dumps(json.loads(path.read_text()) | content))
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{message}.*dvc repro --force infer@net"):
        ViewScores.read(folder, "val")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"source": {"a.csv": "0"}}, "does not exist. .*scores import a.csv --as net"),
        ({"weights": "greedy"}, "does not exist. An ensemble has no views"),
        ({"model": "net"}, "does not exist. `dvc repro --force infer@net`"),
    ],
)
def test_the_remedy_for_views_is_one_that_there_is(tmp_path, meta, message):
    table(meta=meta).write(tmp_path / "net/val.parquet")
    with pytest.raises(UserError, match=message):
        ViewScores.read(tmp_path / "net", "val")


@pytest.mark.parametrize(("videos", "classes"), [(7, 5), (1, 1), (3, 1), (1, 4)])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 23])
def test_the_mean_is_the_same_to_the_bit_however_few_videos_are_taken_at_a_time(monkeypatch, videos, classes, chunk):
    logits = np.random.default_rng(0).normal(0, 5, (videos, 20, classes)).astype(np.float16)
    chosen = [3, 1, *range(4, 20)]
    expected = np.exp(-np.logaddexp(0, -logits[:, chosen].astype(np.float64))).mean(axis=1).astype(np.float32)
    monkeypatch.setattr(prediction_table, "_CHUNK", chunk)
    np.testing.assert_array_equal(ViewScores(logits, GRID).mean_of(chosen), expected)


def test_a_large_array_of_views_is_averaged_in_little_memory(tmp_path):
    """400 MB on disk, of which 3.2 GB would be needed as float64 at once."""
    logits = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float16, (2000, 93, 1075))
    scores = ViewScores(logits, {"views": [], "protocols": {"all": list(range(93))}})
    tracemalloc.start()
    mean = scores.probabilities("all")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (mean == 0.5).all()
    assert peak < 400e6


def split_of(videos: int, classes: tuple[str, ...] = ("jump", "run")) -> Manifest:
    records = [VideoRecord(f"{number}.mp4", "val", f"{number}.mp4", classes[0], "1-x") for number in range(videos)]
    return Manifest(pd.DataFrame(records, columns=list(VideoRecord._fields)), classes)


@pytest.mark.parametrize("videos", [0, 1, 5])
def test_a_split_that_is_written_video_by_video_has_the_bytes_of_one_written_at_once(tmp_path, videos):
    corpus, broken = split_of(videos), np.arange(videos) % 3 == 1
    rng, prior = np.random.default_rng(0), np.array([0.25, 1.0])
    logits = rng.normal(0, 4, (videos, 2, 2)).astype(np.float16)
    logits[broken] = [math.log(1 / 3), math.log((1 - 1e-6) / 1e-6)]  # which a class that all videos have comes close to
    (tmp_path / "parts").mkdir()
    prediction_table.write_split(
        tmp_path / "parts", "val", corpus, broken, iter(logits[~broken]), prior, GRID, "dense", {"model": "net"}
    )

    np.save(tmp_path / "whole.npy", logits)
    assert (tmp_path / "parts/val.views.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    scores = ViewScores(logits, GRID)
    scores.write(tmp_path / "whole", "val")
    prediction_table.protocol_table(corpus, broken, scores, "dense", {"model": "net"}).write(
        tmp_path / "whole/val.parquet"
    )
    for name in ("val.parquet", "val.views.npy", "val.views.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_split_larger_than_memory_is_written_in_little(tmp_path):
    """400 MB on disk, and one video of 200 KB at a time."""
    corpus = split_of(2000, tuple(f"{number:04d}" for number in range(1075)))
    grid = {"views": [{}] * 93, "protocols": {"clip": [0]}}
    logits = (np.zeros((93, 1075), np.float16) for _ in range(1999))
    tracemalloc.start()
    prediction_table.write_split(
        tmp_path, "val", corpus, np.arange(2000) == 7, logits, np.full(1075, 0.5), grid, "clip", {"model": "net"}
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.load(tmp_path / "val.views.npy", mmap_mode="r").shape == (2000, 93, 1075)
    assert peak < 200e6
