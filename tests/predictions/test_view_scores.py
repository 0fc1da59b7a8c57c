"""The scores of every view, and the probabilities that follow from them."""

import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.predictions import view_scores as view_scores_file
from pipeline.predictions.table import PredictionTable
from pipeline.predictions.view_scores import ViewScores

GRID = {"views": [{"crop": "left"}, {"crop": "centre"}], "protocols": {"clip": [1], "dense": [0, 1]}}


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
    made = view_scores_file.protocol_table(manifest, np.array([False, False]), view_scores(), "dense", {"model": "tsn"})
    made.write(tmp_path / "val.parquet")
    view_scores().write(tmp_path, "val")
    again = ViewScores.read(tmp_path, "val").probabilities(made.meta["protocol"])
    np.testing.assert_array_equal(PredictionTable.read(tmp_path / "val.parquet").probabilities, again)


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
    made = PredictionTable(("a",), np.array([False]), ("run",), ("run",), np.ones((1, 1), np.float32), meta)
    made.write(tmp_path / "net/val.parquet")
    with pytest.raises(UserError, match=message):
        ViewScores.read(tmp_path / "net", "val")


@pytest.mark.parametrize(("videos", "classes"), [(7, 5), (1, 1), (3, 1), (1, 4)])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 23])
def test_the_mean_is_the_same_to_the_bit_however_few_videos_are_taken_at_a_time(monkeypatch, videos, classes, chunk):
    logits = np.random.default_rng(0).normal(0, 5, (videos, 20, classes)).astype(np.float16)
    chosen = [3, 1, *range(4, 20)]
    expected = np.exp(-np.logaddexp(0, -logits[:, chosen].astype(np.float64))).mean(axis=1).astype(np.float32)
    monkeypatch.setattr(view_scores_file, "_CHUNK", chunk)
    np.testing.assert_array_equal(ViewScores(logits, GRID).mean_of(chosen), expected)


@pytest.mark.filterwarnings("error")
def test_the_sigmoid_of_any_float16_is_that_of_the_number_to_the_bit():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    logits = every[np.isfinite(every)].reshape(-1, 2, 64)  # (V, K, C)
    found = ViewScores(logits, GRID).mean_of([1])
    expected = ViewScores(logits.astype(np.float64), GRID).mean_of([1])  # whose sigmoids are computed one by one
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, expit(logits[:, 1].astype(np.float64)), rtol=1e-6, atol=1e-45)


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
    view_scores_file.write_split(
        tmp_path / "parts", "val", corpus, broken, iter(logits[~broken]), prior, GRID, "dense", {"model": "net"}
    )

    np.save(tmp_path / "whole.npy", logits)
    assert (tmp_path / "parts/val.views.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    scores = ViewScores(logits, GRID)
    scores.write(tmp_path / "whole", "val")
    view_scores_file.protocol_table(corpus, broken, scores, "dense", {"model": "net"}).write(
        tmp_path / "whole/val.parquet"
    )
    for name in ("val.parquet", "val.views.npy", "val.views.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_video_that_the_model_cannot_see_gets_the_prior_and_its_own_status(tmp_path):
    corpus, prior = split_of(4), np.array([0.25, 0.5])
    broken, unseen = np.array([True, False, True, False]), np.array([True, True, False, False])
    logits = np.array([[1.0, 2.0], [3.0, 4.0]], np.float16)
    view_scores_file.write_split(
        tmp_path, "val", corpus, broken, iter([logits]), prior, GRID, "dense", {"model": "net"}, unseen=unseen
    )

    table, views = PredictionTable.read(tmp_path / "val.parquet"), ViewScores.read(tmp_path, "val")
    assert (table.broken.tolist(), table.unseen.tolist()) == (broken.tolist(), [False, True, False, False])
    np.testing.assert_array_equal(views.logits[3], logits)
    for lost in range(3):
        assert table.probabilities[lost] == pytest.approx(prior, abs=1e-3)  # logits are stored as float16
        np.testing.assert_array_equal(views.logits[lost], views.logits[0])


def test_a_split_larger_than_memory_is_written_in_little(tmp_path):
    """400 MB on disk, and one video of 200 KB at a time."""
    corpus = split_of(2000, tuple(f"{number:04d}" for number in range(1075)))
    grid = {"views": [{}] * 93, "protocols": {"clip": [0]}}
    logits = (np.zeros((93, 1075), np.float16) for _ in range(1999))
    tracemalloc.start()
    view_scores_file.write_split(
        tmp_path, "val", corpus, np.arange(2000) == 7, logits, np.full(1075, 0.5), grid, "clip", {"model": "net"}
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.load(tmp_path / "val.views.npy", mmap_mode="r").shape == (2000, 93, 1075)
    assert peak < 200e6


def single_label_scores() -> ViewScores:
    logits = np.array([[[2.0, -1.0], [0.5, 0.25]], [[-60000.0, 60000.0], [3.0, 3.0]]], np.float16)
    return ViewScores(logits, GRID, "single_label")


def test_where_each_video_has_one_label_a_protocol_is_the_mean_of_the_softmax_of_its_views():
    scores = single_label_scores()
    expected = softmax(scores.logits.astype(np.float64), axis=2).mean(axis=1)

    np.testing.assert_array_equal(scores.probabilities("dense"), expected.astype(np.float32))
    np.testing.assert_allclose(scores.probabilities("dense").sum(axis=1), 1, rtol=1e-7)
    assert scores.probabilities("clip")[0].tolist() == pytest.approx(softmax([0.5, 0.25]).tolist())


def test_files_name_the_task_where_each_video_has_one_label_alone(tmp_path):
    single_label_scores().write(tmp_path / "one", "val")
    view_scores().write(tmp_path / "several", "val")

    assert json.loads((tmp_path / "one/val.views.json").read_text())["task"] == "single_label"
    assert "task" not in json.loads((tmp_path / "several/val.views.json").read_text())
    assert ViewScores.read(tmp_path / "one", "val").task == "single_label"
    assert ViewScores.read(tmp_path / "several", "val").task == "multi_label"


def test_a_task_that_there_is_not_is_refused(tmp_path):
    view_scores().write(tmp_path, "val")
    axes = json.loads((tmp_path / "val.views.json").read_text())
    (tmp_path / "val.views.json").write_text(json.dumps({**axes, "task": "ranking"}))
    with pytest.raises(UserError, match=r"val.views.json: the task 'ranking' is none of multi_label, single_label"):
        ViewScores.read(tmp_path, "val")


def test_a_broken_video_of_one_label_gets_the_prior(tmp_path):
    corpus, prior = split_of(3), np.array([0.25, 0.75])
    logits = [np.zeros((2, 2), np.float16)] * 2
    view_scores_file.write_split(
        tmp_path, "val", corpus, np.array([False, True, False]), logits, prior, GRID, "dense", {"model": "net"},
        "single_label",
    )  # fmt: skip

    table = PredictionTable.read(tmp_path / "val.parquet")
    assert table.task == "single_label"
    assert table.probabilities[1] == pytest.approx([0.25, 0.75], abs=1e-3)  # logits are stored as float16
    assert table.probabilities.sum(axis=1) == pytest.approx([1, 1, 1])
