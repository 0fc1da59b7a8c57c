import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import predictions
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable, ViewScores
from pipeline.records import Manifest, VideoRecord

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
    with pytest.raises(BadInput, match=f"val.parquet.*{message}"):
        PredictionTable.read(tmp_path / "val.parquet")


def test_a_table_of_another_program_is_refused(tmp_path):
    pd.DataFrame({"id": ["a"], "run": [0.5]}).to_parquet(tmp_path / "val.parquet")
    with pytest.raises(BadInput, match="columns"):
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
    with pytest.raises(BadInput, match="no protocol 'densse', only clip, dense"):
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
    with pytest.raises(BadInput, match=r"has the shape \(1, 2, 2\)"):
        ViewScores.read(tmp_path, "val")


def test_a_truncated_array_is_refused(tmp_path):
    view_scores().write(tmp_path, "val")
    data = (tmp_path / "val.views.npy").read_bytes()
    (tmp_path / "val.views.npy").write_bytes(data[:-4])
    with pytest.raises(BadInput, match="cannot be read"):
        ViewScores.read(tmp_path, "val")


def test_the_parquet_can_be_recomputed_from_the_views(tmp_path):
    records = [VideoRecord(v, "val", v, "run", "1-x") for v in ("a", "b")]
    manifest = Manifest(pd.DataFrame(records), ("jump", "run"))
    made = predictions.table(manifest, np.array([False, False]), view_scores(), "dense", {"model": "tsn"})
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
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_its_row(tmp_path, changes, message):
    table(**changes).write(tmp_path / "val.parquet")
    with pytest.raises(BadInput, match=message):
        PredictionTable.read(tmp_path / "val.parquet")


def test_a_class_that_stands_there_twice_is_refused(tmp_path):
    columns = [pa.array([text]) for text in ("a.mp4", "ok", "run")] + [pa.array([0.5])] * 2
    pq.write_table(pa.Table.from_arrays(columns, ["video", "status", "labels", "run", "run"]), tmp_path / "val.parquet")
    with pytest.raises(BadInput, match=r"two columns 'run' \(number 5"):
        PredictionTable.read(tmp_path / "val.parquet")


@pytest.mark.parametrize(("videos", "classes"), [(7, 5), (1, 1), (3, 1), (1, 4)])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 23])
def test_the_mean_is_the_same_to_the_bit_however_few_videos_are_taken_at_a_time(monkeypatch, videos, classes, chunk):
    logits = np.random.default_rng(0).normal(0, 5, (videos, 20, classes)).astype(np.float16)
    chosen = [3, 1, *range(4, 20)]
    expected = np.exp(-np.logaddexp(0, -logits[:, chosen].astype(np.float64))).mean(axis=1).astype(np.float32)
    monkeypatch.setattr(predictions, "_CHUNK", chunk)
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
    predictions.write_split(
        tmp_path / "parts", "val", corpus, broken, iter(logits[~broken]), prior, GRID, "dense", {"model": "net"}
    )

    np.save(tmp_path / "whole.npy", logits)
    assert (tmp_path / "parts/val.views.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    scores = ViewScores(logits, GRID)
    scores.write(tmp_path / "whole", "val")
    predictions.table(corpus, broken, scores, "dense", {"model": "net"}).write(tmp_path / "whole/val.parquet")
    for name in ("val.parquet", "val.views.npy", "val.views.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_split_larger_than_memory_is_written_in_little(tmp_path):
    """400 MB on disk, and one video of 200 KB at a time."""
    corpus = split_of(2000, tuple(f"{number:04d}" for number in range(1075)))
    grid = {"views": [{}] * 93, "protocols": {"clip": [0]}}
    logits = (np.zeros((93, 1075), np.float16) for _ in range(1999))
    tracemalloc.start()
    predictions.write_split(
        tmp_path, "val", corpus, np.arange(2000) == 7, logits, np.full(1075, 0.5), grid, "clip", {"model": "net"}
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.load(tmp_path / "val.views.npy", mmap_mode="r").shape == (2000, 93, 1075)
    assert peak < 200e6
