"""Held-out predictions: each video's own fold answers it, and the figures are scikit-learn's."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, label_ranking_average_precision_score

from pipeline.core import files, tsv
from pipeline.core.errors import UserError
from pipeline.core.task import MULTI_LABEL, SINGLE_LABEL, Task
from pipeline.folds import held_out, partition
from pipeline.predictions.table import PredictionTable
from pipeline.training.config import epochs_of
from tests.support import tiny

CLASSES = ("blue", "green", "red")
FOLD = np.array([2, 1, 3, 1, 2, 3, 3, 1, 2, 1, 1, 2])
EPOCHS, OF = (7, 20, 9), (10, 25, 20)
VIDEOS = tuple(f"v{number}" for number in range(len(FOLD)))


def labels(task: Task) -> list[str]:
    one = [CLASSES[number % 3] for number in range(len(FOLD))]
    return (
        one if task == SINGLE_LABEL else [f"{a};{b}" if a < b else a for a, b in zip(one, one[2:] + one, strict=False)]
    )


def run(folder: Path, task: Task, models: tuple[str, ...] = ("tsn", "trn")) -> dict[str, np.ndarray]:
    """Write the predictions of every fold, video 4 broken; the scores of each model by video, (V, C)."""
    (folder / "splits").mkdir()
    tsv.write(folder / "splits" / partition.FOLDS, pd.DataFrame({"video": VIDEOS, "fold": FOLD}))
    scores = {}
    for seed, model in enumerate(models):
        scores[model] = np.random.default_rng(seed).dirichlet(np.ones(3), len(FOLD)).astype(np.float32)
        for number in (1, 2, 3):
            rows = np.flatnonzero(number == FOLD)
            meta = {"model": model, "checkpoint": f"{number}" * 8, "protocol": "multiscale"}
            PredictionTable(
                tuple(VIDEOS[row] for row in rows), rows == 4, tuple(labels(task)[row] for row in rows), CLASSES,
                scores[model][rows], meta if task == MULTI_LABEL else {**meta, "task": task},
            ).write(folder / "predictions" / str(number) / model / "test.parquet")  # fmt: skip
            recipe = {"train": {"epochs": OF[number - 1]}, "result": {"epoch": EPOCHS[number - 1] - 1}}  # from 0 there
            files.write_json(folder / "models" / str(number) / model / "recipe.json", recipe)
    return scores


def write(folder: Path, *models: str) -> dict[str, dict[str, float]]:
    return held_out.write(models, folder / "splits", folder / "models", folder / "predictions", folder / "out")


def test_every_video_has_the_scores_of_the_fold_that_held_it_out_in_the_order_of_the_manifest(tmp_path: Path):
    scores = run(tmp_path, MULTI_LABEL)

    write(tmp_path, "tsn", "trn")

    for model in ("tsn", "trn"):
        table = PredictionTable.read(tmp_path / "out" / f"{model}.parquet")
        assert table.videos == VIDEOS
        assert list(table.labels) == labels(MULTI_LABEL)
        assert table.probabilities.tolist() == scores[model].tolist()
        assert np.flatnonzero(table.broken).tolist() == [4]
        assert table.meta["checkpoints"] == {"1": "11111111", "2": "22222222", "3": "33333333"}
        assert table.meta["model"] == model
    assert partition.read(tmp_path / "out")["fold"].tolist() == FOLD.tolist()


def test_multi_label_figures_are_those_of_scikit_learn(tmp_path: Path):
    scores = run(tmp_path, MULTI_LABEL)["tsn"]
    targets = np.array([[name in text.split(";") for name in CLASSES] for text in labels(MULTI_LABEL)])
    by_fold = [
        100 * label_ranking_average_precision_score(targets[number == FOLD], scores[number == FOLD])
        for number in (1, 2, 3)
    ]

    shown = write(tmp_path, "tsn")

    assert shown["tsn"]["mAP"] == pytest.approx(100 * label_ranking_average_precision_score(targets, scores))
    assert shown["tsn"]["folds_mean"] == pytest.approx(np.mean(by_fold))
    assert shown["tsn"]["folds_sd"] == pytest.approx(pd.Series(by_fold).std())
    assert shown["chance"]["mAP"] == pytest.approx(100 * by_chance(targets))
    assert shown["chance"]["low"] < shown["chance"]["mAP"] < shown["chance"]["high"]
    assert shown["videos"] == {"n_expected": 12, "n_scored": 11, "n_broken": 1}


def test_videos_that_a_model_cannot_see_are_told_by_their_number(tmp_path: Path):
    run(tmp_path, MULTI_LABEL)
    write(tmp_path, "tsn", "trn")
    assert "cannot be seen" not in (tmp_path / "out/tables.md").read_text()
    for number, blind in ((1, [0, 3]), (3, [1])):
        path = tmp_path / "predictions" / str(number) / "trn" / "test.parquet"
        table = PredictionTable.read(path)
        unseen = np.isin(np.arange(len(table.videos)), blind)
        replace(table, unseen=unseen).write(path)
    write(tmp_path, "tsn", "trn")
    told = (tmp_path / "out/tables.md").read_text()
    assert "1 of them are broken and answered with the class prior. In percent. Likewise answered" in told
    assert "Likewise answered, as they cannot be seen: 3 by trn." in told


def by_chance(targets: np.ndarray) -> float:
    """Mean over all orders of the three classes, each given as the answer for every video, 0..1."""
    orders = [np.tile(order, (len(targets), 1)) for order in itertools.permutations(range(3))]
    return np.mean([label_ranking_average_precision_score(targets, order) for order in orders])


def test_a_model_that_does_no_better_than_chance_is_called_so(tmp_path: Path):
    run(tmp_path, SINGLE_LABEL)
    for number in (1, 2, 3):  # of the two, one answers every video right
        path = tmp_path / "predictions" / str(number) / "trn" / "test.parquet"
        table = PredictionTable.read(path)
        replace(table, probabilities=table.targets().astype(np.float32)).write(path)

    write(tmp_path, "tsn", "trn")

    text = (tmp_path / "out" / "tables.md").read_text()
    assert "* tsn is no better than chance on the held-out videos (top-1 accuracy" in text
    assert "* trn is better than chance on the held-out videos (top-1 accuracy 100.0; chance 33.3" in text
    assert "| random answers |      33.33 |" in text
    assert "top-5" not in text, "five of three classes are all"


def test_single_label_figures_are_those_of_scikit_learn(tmp_path: Path):
    scores = run(tmp_path, SINGLE_LABEL)["tsn"]
    truth, answer = labels(SINGLE_LABEL), [CLASSES[best] for best in scores.argmax(axis=1)]
    by_fold = [
        100 * accuracy_score(np.array(truth)[number == FOLD], np.array(answer)[number == FOLD]) for number in (1, 2, 3)
    ]

    shown = write(tmp_path, "tsn")["tsn"]

    assert shown["top1"] == pytest.approx(100 * accuracy_score(truth, answer))
    assert shown["mean_class_accuracy"] == pytest.approx(100 * balanced_accuracy_score(truth, answer))
    assert shown["folds_mean"] == pytest.approx(np.mean(by_fold))
    assert shown["folds_sd"] == pytest.approx(np.std(by_fold, ddof=1))
    assert PredictionTable.read(tmp_path / "out" / "tsn.parquet").task == SINGLE_LABEL


def test_the_table_names_the_metric_and_shows_the_figures(tmp_path: Path):
    run(tmp_path, SINGLE_LABEL)
    shown = write(tmp_path, "tsn", "trn")

    text = (tmp_path / "out" / "tables.md").read_text()

    assert "12 videos in 3 folds" in text
    assert "1 of them are broken" in text
    assert "## Top-1 accuracy" in text
    (row,) = [line for line in text.partition("## All")[0].splitlines() if line.startswith("| trn")]
    *cells, epoch = (cell.strip() for cell in row.split("|")[2:-1])
    assert epoch == "9 (7 to 20)"
    cells = [float(cell) for cell in cells]
    wanted = [shown["trn"][name] for name in ("top1", "folds_mean", "folds_sd")]
    assert cells[:3] == pytest.approx(wanted, abs=0.005)
    assert np.mean(cells[3:]) == pytest.approx(shown["trn"]["folds_mean"], abs=0.01)


def test_the_share_of_the_epochs_is_one_that_a_fold_picked(tmp_path: Path):
    run(tmp_path, MULTI_LABEL)
    write(tmp_path, "tsn")
    found = json.loads((tmp_path / "out/epochs/tsn.json").read_text())
    assert found == {"folds": list(EPOCHS), "of": list(OF), "share": 0.7}  # of 0.7, 0.8 and 0.45
    assert held_out.Picked((4, 10), (10, 10)).plain()["share"] == 0.4


def test_a_probe_has_held_out_predictions_and_no_epoch(tmp_path: Path):
    run(tmp_path, SINGLE_LABEL, models=("probe", "tsn"))
    for number in (1, 2, 3):
        files.write_json(tmp_path / "models" / str(number) / "probe" / "recipe.json", {"result": {"chosen": {}}})

    shown = write(tmp_path, "probe", "tsn")

    assert shown["probe"]["top1"] > 0
    assert json.loads((tmp_path / "out/epochs/probe.json").read_text()) == {"folds": [], "of": [], "share": None}
    (row,) = [line for line in (tmp_path / "out/tables.md").read_text().splitlines() if line.startswith("| probe")][:1]
    assert row.split("|")[-2].strip() == ""


def test_the_final_model_ends_at_the_same_share_of_a_training_that_least_steps_shortened():
    train = tiny.model(epochs=8, least_steps=500).train  # of batches of 3
    assert epochs_of(8, 500, 3, videos=60) == 25
    assert [train.last_epoch(share, videos=60) for share in (0.01, 12 / 25, 1.0)] == [1, 12, 25]
    assert [train.last_epoch(share, videos=90) for share in (0.01, 12 / 25, 1.0)] == [1, 8, 17]
    assert all(tiny.model(epochs=9).train.last_epoch(epoch / 9, videos=90) == epoch for epoch in range(1, 10))


def test_predictions_of_other_videos_are_refused_with_the_stage_that_makes_them(tmp_path: Path):
    run(tmp_path, MULTI_LABEL)
    swapped = FOLD.copy()
    swapped[:2] = swapped[1::-1]
    tsv.write(tmp_path / "splits" / partition.FOLDS, pd.DataFrame({"video": VIDEOS, "fold": swapped}))

    with pytest.raises(UserError, match="1/tsn/test.parquet is of other videos than fold 1 .*infer_fold@tsn-1"):
        write(tmp_path, "tsn")
    assert not (tmp_path / "out").exists()


def test_a_missing_prediction_file_is_named(tmp_path: Path):
    run(tmp_path, MULTI_LABEL, models=("tsn",))

    with pytest.raises(UserError, match="1/trn/test.parquet does not exist"):
        write(tmp_path, "tsn", "trn")
