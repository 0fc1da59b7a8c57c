"""Corpora of several kinds from the check to the page, by stages by hand, at the smallest size."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from tests.support import corpus, project, stage_process

pytestmark = pytest.mark.slow

ACTIONS = "id,subject,actions,length\n"


def done(folder: Path, *settings: str) -> str:
    """Run all stages in `folder` with some settings of its corpus; the page."""
    folder.mkdir()
    (folder / "conf").symlink_to(stage_process.ROOT / "conf")
    others = [text for text in stage_process.SETTINGS if not text.startswith("dataset=")]
    project.write_params(folder, *settings, *others, f"models.{stage_process.MODEL}.train.epochs=1")
    for stage in stage_process.ORDER:
        ended = stage_process.run(stage, folder)
        assert ended.status == 0, ended.said
    return (folder / "data" / "report" / "index.html").read_text()


def answers(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores and labels (V, C) of the ensemble, the latter read anew from their texts, -1 where nobody knows."""
    table = pd.read_parquet(folder / "data" / "ensemble" / f"{split}.parquet")
    classes = list(table.columns[3:])
    told = [
        [1 if name in text.split(";") else -1 if f"?{name}" in text.split(";") else 0 for name in classes]
        for text in table["labels"]
    ]
    return table[classes].to_numpy(np.float64), np.array(told), list(table["video"])


def sample_map(scores: np.ndarray, targets: np.ndarray) -> float:
    known = [(t[t >= 0][None], s[t >= 0][None]) for t, s in zip(targets, scores, strict=True)]
    return 100 * float(np.mean([label_ranking_average_precision_score(*one) for one in known]))


def test_a_corpus_of_which_some_labels_are_not_known(tmp_path: Path, clips: Path):
    labels = ["moving;still", "still;?bright", "bright;?moving", "moving", "?still", "still;bright;?moving"]
    names = [*corpus.CLIPS, corpus.ROTATED]
    rows = [f"{name},{labels[n % 6]},{('train', 'val', 'test', 'train')[n % 4]}" for n, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,labels,split", *rows]) + "\n")
    page = done(
        tmp_path / "project", "dataset=folder", f"dataset.root={clips}", f"dataset.annotations={tmp_path}/labels.csv"
    )
    figures = json.loads((tmp_path / "project" / "data" / "metrics.json").read_text())
    for split in ("val", "test"):
        scores, targets, _ = answers(tmp_path / "project", split)
        assert (targets < 0).any()
        assert figures["ensemble"][split] == pytest.approx(sample_map(scores, targets))
    statistics = pd.read_csv(tmp_path / "project" / "data" / "stats" / "classes.csv", index_col="class")
    train = pd.read_csv(tmp_path / "project" / "data" / "manifest.tsv", sep="\t")
    broken = set(pd.read_csv(tmp_path / "project" / "data" / "broken.tsv", sep="\t")["video"])
    told = [text.split(";") for text in train[(train["split"] == "train") & ~train["video"].isin(broken)]["labels"]]
    for name, row in statistics.iterrows():
        assert row["videos"] == sum(name in text for text in told)
        assert row["known"] == sum(f"?{name}" not in text for text in told)
        assert row["prior"] == pytest.approx(row["videos"] / row["known"])
    precision = pd.read_csv(tmp_path / "project" / "data" / "report" / "classes.csv", index_col="class")
    scores, targets, _ = answers(tmp_path / "project", "test")
    for column, name in enumerate(sorted({"moving", "still", "bright"})):
        known = targets[:, column] >= 0
        expected = average_precision_score(targets[known, column], scores[known, column])
        assert precision.loc[name, "ensemble"] == pytest.approx(100 * expected)
    assert " % of all pairs of a video and a class nobody knows" in page


def test_windows_of_charades_with_overlapping_actions_and_none(tmp_path: Path, clips: Path):
    lists, videos = tmp_path / "lists", tmp_path / "videos"
    lists.mkdir()
    videos.mkdir()
    told = ["c000 0.00 0.40;c001 0.30 0.90", "c001 0.60 7.00;c001 0.00 0.20", "", "c002 0.10 1.00;c000 0.70 0.80"]
    for split, subjects in (("train", "abcdefgh"), ("test", "xyzw")):
        rows = [f"{name.upper()},{name},{told[n % 4]},1.0\n" for n, name in enumerate(subjects)]
        (lists / f"Charades_v1_{split}.csv").write_text(ACTIONS + "".join(rows))
        for name in subjects:
            corpus.take(clips / "h264.mp4", videos / f"{name.upper()}.mp4")
    (lists / "Charades_v1_classes.txt").write_text("c000 Holding\nc001 Taking\nc002 Sitting\n")
    page = done(
        tmp_path / "project", "dataset=charades", f"dataset.root={videos}", f"dataset.annotations={lists}",
        "dataset.window=0.5", "dataset.val_share=0.3", "extract.shards=3",
    )  # fmt: skip
    manifest = pd.read_csv(tmp_path / "project" / "data" / "manifest.tsv", sep="\t", index_col="video")
    assert manifest["labels"][["A.mp4#0-0.5", "A.mp4#0.5-", "C.mp4#0-0.5", "D.mp4#0.5-"]].tolist() == [
        "Holding;Taking", "Taking", ";", "Sitting;Holding",
    ]  # fmt: skip
    assert len(manifest) == 24
    index = pd.read_csv(tmp_path / "project" / "data" / "frames" / "index.tsv", sep="\t", index_col="video")
    assert set(index["frames"]) == {15}  # half a second of 30 frames
    scores, targets, names = answers(tmp_path / "project", "test")
    assert names == [f"{name}.mp4#{span}" for name in "XYZW" for span in ("0-0.5", "0.5-")]
    figures = json.loads((tmp_path / "project" / "data" / "metrics.json").read_text())
    assert figures["ensemble"]["test"] == pytest.approx(sample_map(scores, targets))
    assert "X.mp4#0-0.5" in page
