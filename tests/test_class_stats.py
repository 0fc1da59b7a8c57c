"""Label counts, the weights of the report and their inverses, and what is written of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import class_stats
from pipeline.class_stats import ClassStatistics
from pipeline.core.errors import UserError
from pipeline.core.manifest import Manifest, VideoRecord
from tests.support.golden import keys

CLASSES = ("jump", "run", "swim")
TARGETS = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]], np.uint8)


def videos(targets: np.ndarray, classes: tuple[str, ...]) -> Manifest:
    """Train videos of many-hot labels."""
    labels = [";".join(name for name, has in zip(classes, row, strict=True) if has) for row in targets]
    rows = [VideoRecord(f"{n}", "train", f"{n}", text) for n, text in enumerate(labels)]
    return Manifest(pd.DataFrame(rows, columns=list(VideoRecord._fields), dtype=str), classes)


def test_counts_and_prior_by_hand():
    counted = class_stats.count(videos(TARGETS, CLASSES))

    assert counted.counts.tolist() == [4, 2, 1]
    assert counted.prior.tolist() == [1, 0.5, 0.25]
    assert counted.videos == 4


def test_a_video_of_no_class_counts_among_the_videos(tmp_path: Path):
    corpus = videos(TARGETS, CLASSES)
    with_none = Manifest(pd.concat([corpus.table, corpus.table.assign(labels=";")], ignore_index=True), CLASSES)
    written = class_stats.write(tmp_path / "stats", with_none, expected=8)
    assert written.counts.tolist() == [4, 2, 1]
    assert written.prior.tolist() == [0.5, 0.25, 0.125]
    assert pd.read_csv(tmp_path / "stats" / "labels_per_video.csv")["videos"].tolist() == [4, 2, 1, 1]


def test_weights_by_hand():
    weights = ClassStatistics(("a", "b"), np.array([8, 2]), videos=10).class_weights()  # 5 on average

    assert {name: values.tolist() for name, values in weights.items()} == {
        "linear": pytest.approx([1.6, 0.4]),
        "sqrt": pytest.approx([1.6**0.5, 0.4**0.5]),
        "inverse_linear": pytest.approx([0.625, 2.5]),
        "inverse_sqrt": pytest.approx([0.625**0.5, 2.5**0.5]),
    }


def test_weights_are_those_that_the_report_prints():
    golden = {name: np.asarray(value) for name, value in keys.read("class_weights_paper").items() if name != "meta"}
    weights = ClassStatistics(tuple("abcde"), golden["counts"], videos=100_000).class_weights()

    np.testing.assert_allclose(weights["sqrt"], golden["w_sqrt"], rtol=1e-6)
    np.testing.assert_allclose(weights["linear"], golden["w_lin"], rtol=1e-6)
    # the least count over the count, as moments_models has it, is our inverse on another scale
    np.testing.assert_allclose(weights["inverse_linear"] / weights["inverse_linear"].max(), golden["w_min"], rtol=1e-6)


def test_a_class_without_a_video_left_is_refused_by_name():
    with pytest.raises(UserError, match=r"Every train video labelled 'run' is broken"):
        class_stats.count(videos(TARGETS[[1, 3]][:, :2], CLASSES[:2]))
    with pytest.raises(UserError, match="'jump', 'run', 'swim'"):
        class_stats.count(videos(TARGETS[:0], CLASSES))


def test_written_statistics_by_hand(tmp_path: Path):
    class_stats.write(tmp_path / "stats", videos(TARGETS, CLASSES), expected=6)

    assert (tmp_path / "stats" / "labels_per_video.csv").read_text() == "labels,videos\n0,0\n1,2\n2,1\n3,1\n"
    assert (
        tmp_path / "stats" / "cooccurrence.csv"
    ).read_text() == "class,other,videos\njump,run,2\njump,swim,1\nrun,swim,1\n"
    assert json.loads((tmp_path / "stats" / "summary.json").read_text()) == {
        "train_videos": 4,
        "train_videos_broken": 2,
        "classes": 3,
        "videos_per_class_mean": pytest.approx(7 / 3),
        "videos_per_class_min": 1,
        "videos_per_class_max": 4,
        "labels_per_video_mean": 1.75,
        "labels_per_video_max": 3,
    }
    table = pd.read_csv(tmp_path / "stats" / "classes.csv", index_col="class")
    assert table["videos"].to_dict() == {"jump": 4, "run": 2, "swim": 1}
    assert table["prior"].to_dict() == {"jump": 1.0, "run": 0.5, "swim": 0.25}
    assert table["weight_linear"].tolist() == pytest.approx([12 / 7, 6 / 7, 3 / 7])
    assert table["weight_inverse_sqrt"].tolist() == pytest.approx([(7 / 12) ** 0.5, (7 / 6) ** 0.5, (7 / 3) ** 0.5])


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
def test_cooccurrence_equals_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(class_stats, "_LABELS_AT_ONCE", at_once)
    targets = (np.random.default_rng(0).random((50, 5)) < 0.4).astype(np.uint8)
    class_stats.write(tmp_path / "stats", videos(targets, tuple("abcde")), expected=50)

    found = pd.read_csv(tmp_path / "stats" / "cooccurrence.csv")
    pairs = [(one, other) for one in range(5) for other in range(one + 1, 5)]
    together = [sum(1 for row in targets if row[one] and row[other]) for one, other in pairs]
    assert found.to_numpy().tolist() == [
        ["abcde"[one], "abcde"[other], count] for (one, other), count in zip(pairs, together, strict=True) if count
    ]


def test_a_label_that_is_said_twice_counts_once(tmp_path: Path):
    manifest = videos(TARGETS, CLASSES)
    manifest.table.loc[1, "labels"] = "jump;jump"
    assert class_stats.write(tmp_path / "stats", manifest, 4).counts.tolist() == [4, 2, 1]
    assert (tmp_path / "stats" / "cooccurrence.csv").read_text().splitlines()[1:] == [
        "jump,run,2",
        "jump,swim,1",
        "run,swim,1",
    ]


def test_broken_videos_are_left_out(tmp_path: Path):
    rows = [
        ("1", "train", "jump;run"),
        ("2", "train", "jump"),
        ("3", "train", "run"),
        ("4", "val", "jump"),
        ("5", "test", "run"),
    ]
    records = [VideoRecord(video, split, video, labels, "missing") for video, split, labels in rows]
    train = Manifest.from_records(records, ("jump", "run")).split("train")

    written = class_stats.write(tmp_path / "stats", train.without(["3", "4"]), len(train))

    assert written.counts.tolist() == [2, 1]
    assert written.prior.tolist() == [1, 0.5]
    summary = json.loads((tmp_path / "stats" / "summary.json").read_text())
    assert (summary["train_videos"], summary["train_videos_broken"]) == (2, 1)


@pytest.mark.parametrize("name", ["class", "NA", "1", "labels, many", '"quoted"', "grün", "videos", "prior"])
def test_a_class_of_any_name_is_written_and_comes_back(tmp_path: Path, name: str):
    written = class_stats.write(tmp_path / "stats", videos(TARGETS, ("jump", name, "swim")), expected=4)

    read = ClassStatistics.read(tmp_path / "stats")
    assert read.classes == ("jump", name, "swim")
    assert read.counts.tolist() == written.counts.tolist() == [4, 2, 1]
    assert read.videos == 4
    cells = pd.read_csv(tmp_path / "stats" / "cooccurrence.csv", header=None, keep_default_na=False, dtype=str)
    assert cells.to_numpy().tolist() == [
        ["class", "other", "videos"],
        ["jump", name, "2"],
        ["jump", "swim", "1"],
        [name, "swim", "1"],
    ]


def test_missing_statistics_name_the_stage_that_makes_them(tmp_path: Path):
    with pytest.raises(UserError, match="dvc repro stats"):
        ClassStatistics.read(tmp_path / "stats")


def test_a_class_is_counted_where_it_is_known(tmp_path: Path):
    corpus = videos(TARGETS, CLASSES)
    corpus.table["labels"] = ["jump;run", "jump;?swim", "jump;run;swim", "jump;?swim;?run"]
    written = class_stats.write(tmp_path / "stats", corpus, expected=4)
    assert written.counts.tolist() == [4, 2, 1]
    assert written.prior.tolist() == [1, 2 / 3, 1 / 2]
    read = ClassStatistics.read(tmp_path / "stats")
    assert read.prior.tolist() == written.prior.tolist()
    assert pd.read_csv(tmp_path / "stats" / "classes.csv")["known"].tolist() == [4, 3, 2]
    together = pd.read_csv(tmp_path / "stats" / "cooccurrence.csv")
    assert together.to_numpy().tolist() == [["jump", "run", 2], ["jump", "swim", 1], ["run", "swim", 1]]
    assert pd.read_csv(tmp_path / "stats" / "labels_per_video.csv")["videos"].tolist() == [0, 2, 1, 1]


def test_where_all_is_known_there_is_no_column_of_it(tmp_path: Path):
    class_stats.write(tmp_path / "stats", videos(TARGETS, CLASSES), expected=4)
    assert "known" not in pd.read_csv(tmp_path / "stats" / "classes.csv")
    assert ClassStatistics.read(tmp_path / "stats").known is None
