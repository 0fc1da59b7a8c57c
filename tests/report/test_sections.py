"""Every section, cell by cell: against what the other stages wrote, and against other people's arithmetic."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
from sklearn.metrics import average_precision_score

from pipeline import class_stats
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.predictions.table import PredictionTable
from pipeline.report import curves, sections
from pipeline.report.inputs import Inputs
from tests.support import finished
from tests.support.html_page import DASH, MINUS, check, page


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """(sources, folder, the page) of a run in which no two metrics that could be taken for one another are the same."""
    folder = tmp_path_factory.mktemp("unequal")
    sources = finished.run(
        folder,
        classes=("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay"),
        members=("weak", "strong", "middling"),
        videos=30,
        protocol="clip",
        weights="best",
        mean="best",
        subsets={"pair": ["weak", "strong"], "alone": ["weak"], "nobody": ["x*"]},
    )
    return sources, folder / "report", check(page(sources, folder / "report"))


def two(value: float) -> str:
    return DASH if np.isnan(value) else f"{value:.2f}"


def plus(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)


def under_the_fused_protocol(sources, member: str) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities, targets) of test, from the logits of the centre clip, which is view 0."""
    logits = np.load(sources.predictions / member / "test.views.npy")[:, 0].astype(np.float64)
    return scipy.special.expit(logits), PredictionTable.read(sources.ensemble / "test.parquet").targets()


def test_the_head_says_what_was_gained_over_whom(unequal):
    sources, _, read = unequal
    used = pd.read_csv(sources.ensemble / "variants.csv").query("used").iloc[0]
    assert used["test"] != used["val"]
    score, gain, *_ = read.tables[""][0]
    assert score == ["Sample mAP", two(used["test"]), f"{two(used['test_low'])} to {two(used['test_high'])}"]
    assert gain[:2] == ["Gain over strong", plus(used["test_gain"])]
    assert gain[2].startswith(f"{plus(used['test_gain_low'])} to {plus(used['test_gain_high'])}")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 2.0, ""),
        (-1.0, 2.0, "may be chance"),
        (0.0, 2.0, "may be chance"),
        (-2.0, 0.0, "may be chance"),
        (-41.59, -34.27, "a loss"),
        (0.0, 0.0, ""),
        (np.nan, np.nan, "no model is better than chance"),
    ],
)
def test_only_an_interval_around_0_may_be_chance_and_a_loss_is_a_loss(low, high, said):
    assert sections.verdict(low, high) == said


def test_a_certain_loss_and_a_single_member_are_told_as_they_are(tmp_path):
    given = {"poor": 1.0, "good": 0.0}
    lost = finished.run(
        tmp_path / "lost", members=tuple(given), weights="given", given=given, videos=60, classes=list("abcdef")
    )
    gain = check(page(lost, tmp_path / "lost/report")).tables[""][0][1]
    assert gain[0] == "Gain over good"
    assert gain[1].startswith(MINUS)
    assert gain[2].endswith(": a loss")
    alone = finished.run(tmp_path / "alone", members=("only",))
    read = check(page(alone, tmp_path / "alone/report"))
    assert [term[0] for term in read.tables[""][0]] == ["Sample mAP", "Class mAP", "Hit at 1"]
    assert not {"variants", "members"} & set(read.tables)
    assert "One member: the ensemble is only itself" in read.text


def test_the_table_of_models_is_metrics_json(unequal):
    sources, _, read = unequal
    shown = json.loads(sources.metrics.read_text())
    names = [f"{split}_{protocol}" for split in ("val", "test") for protocol in ("clip", "dense", "multiscale")]
    assert len({shown["strong"][name] for name in names}) == 6
    models, ensembles = read.tables["models"]
    assert [[cell.split(" ")[0] for cell in row] for row in models[4:]] == [
        [member, *(two(shown[member][name]) for name in names)] for member in ("weak", "strong", "middling")
    ]
    low, high = (shown["interval"][f"weak_val_clip_{end}"] for end in ("low", "high"))
    assert models[4][1].split(" ", 1)[1] == f"{low:.1f} to {high:.1f}"
    for row, what, name in ((2, "chance", "random answers"), (3, "prior", "class prior")):
        of = {s: [shown[what][f"{s}{end}"] for end in ("", "_low", "_high")] for s in ("val", "test")}
        cells = {s: f"{mean:.2f} {low:.1f} to {high:.1f}" for s, (mean, low, high) in of.items()}
        assert models[row] == [name, *(cells[split] for split in ("val", "test") for _ in range(3))]

    def fused(name: str) -> str:
        low, high = (shown["interval"][f"ensemble_{name}_{end}"] for end in ("low", "high"))
        return f"{shown['ensemble'][name]:.2f} {low:.1f} to {high:.1f}"

    assert ensembles[2] == ["weights used", fused("val"), fused("test")]
    assert ensembles[3] == ["cross-fitted", fused("val_crossfit"), DASH]
    used = pd.read_csv(sources.ensemble / "variants.csv").query("used").iloc[0]
    assert [shown["interval"][f"ensemble_test_{end}"] for end in ("low", "high")] == pytest.approx(
        [used["test_low"], used["test_high"]]
    )


def test_the_table_of_variants_is_variants_csv_best_first(unequal):
    sources, _, read = unequal
    rows = pd.read_csv(sources.ensemble / "variants.csv", keep_default_na=False, na_values=[""]).to_dict("records")
    assert len({row["val"] for row in rows}) > 5

    def cell(row, what, show):
        if np.isnan(row[what]):
            return DASH
        return f"{show(row[what])} {show(row[what + '_low'])} to {show(row[what + '_high'])}"

    expected = [
        [
            (row["weights"] if row["weights"] == row["mean"] else f"{row['weights']}, {row['mean']}")
            + (" used " if row["used"] else " ")
            + ("all members" if row["members"] == "all" else row["members"]),
            "",
            cell(row, "val", two),
            cell(row, "val_gain", plus),
            cell(row, "test", two),
            cell(row, "test_gain", plus),
        ]
        for row in sorted(rows, key=lambda row: -row["val"])
    ]
    assert read.tables["variants"][0][1:] == expected


def test_subsets_that_are_left_out_are_named(unequal):
    assert "fewer than two, or no weight: alone, nobody." in unequal[2].text
    assert "pair" in {row[0].split()[-1] for row in unequal[2].tables["variants"][0]}


def test_that_the_best_was_chosen_is_said_only_where_something_was(unequal, tmp_path):
    assert "was chosen on this figure" in unequal[2].text
    text = check(page(finished.run(tmp_path, weights="fitted"), tmp_path / "report")).text
    assert "was chosen" not in text
    assert "Subsets left out" not in text


def test_the_table_of_members_is_members_csv_heaviest_first(unequal):
    sources, _, read = unequal
    rows = pd.read_csv(sources.ensemble / "members.csv").sort_values(["weight", "worth"], ascending=False)
    assert len(set(rows["weight"])) > 1
    expected = [
        [row.member, two(row.weight), f"{plus(row.worth)} {plus(row.worth_low)} to {plus(row.worth_high)}"]
        for row in rows.itertuples()
    ]
    assert read.tables["members"][0][1:] == expected


def test_the_table_of_classes_is_scikit_learns_precision_under_the_fused_protocol(unequal):
    sources, out, read = unequal
    fused = PredictionTable.read(sources.ensemble / "test.parquet")
    member, targets = under_the_fused_protocol(sources, "strong")
    train = pd.read_csv(sources.stats / "classes.csv").set_index("class")["videos"]
    rows = []
    for i, name in enumerate(fused.classes):
        found = [100 * average_precision_score(targets[:, i], scores[:, i]) for scores in (fused.probabilities, member)]
        rows.append((name, *found, train[name], targets[:, i].sum()))
    rows.sort(key=lambda row: row[1])
    assert any(f"{ensemble:.1f}" != f"{member:.1f}" for _, ensemble, member, *_ in rows)
    thirds, table = read.tables["classes"]
    assert table[0][2] == thirds[0][4] == "strong"
    assert table[1:] == [[name, f"{one:.1f}", f"{other:.1f}", str(n), str(m)] for name, one, other, n, m in rows]
    csv = pd.read_csv(out / "classes.csv")
    assert csv["class"].tolist() == [row[0] for row in rows]
    np.testing.assert_allclose(csv[["ensemble", "member"]], [row[1:3] for row in rows], atol=1e-5)
    rare = sorted(rows, key=lambda row: row[3])[:4]
    means = [two(np.mean([row[i] for row in rare])) for i in (1, 2)]
    assert thirds[1] == ["rare", "4", f"{rare[0][3]}{DASH}{rare[3][3]}", *means]


def test_the_table_of_calibration_is_of_the_fused_protocol(unequal):
    sources, _, read = unequal
    expected = []
    for member in ("weak", "strong", "middling"):
        scores, targets = (array.ravel() for array in under_the_fused_protocol(sources, member))
        error = sum(
            abs((scores[inside] - targets[inside]).sum()) / scores.size
            for inside in (np.minimum(scores // 0.1, 9) == number for number in range(10))
        )
        expected.append([member, f"{100 * error:.2f} %", f"{np.mean((scores - targets) ** 2):.4f}"])
    assert read.tables["calibration"][0][1:4] == expected


def test_the_table_of_confusions_leaves_broken_videos_out(unequal):
    sources, out, read = unequal
    fused = PredictionTable.read(sources.ensemble / "test.parquet")
    times, bearing = Counter(), Counter()
    for row, labels in enumerate(map(set, (text.split(";") for text in fused.labels))):
        if fused.broken[row]:
            continue
        order = sorted(range(len(fused.classes)), key=lambda i: -fused.probabilities[row, i])
        instead = {fused.classes[i] for i in order[: len(labels)]}
        bearing.update(labels)
        for label in labels - instead:
            for other in instead - labels:
                times[label, other] += 1 / len(instead - labels)
    shown = {(label, other): cells for label, other, *cells in read.tables["confusion"][0][1:]}
    assert shown == {pair: [f"{count:.1f}", f"{100 * count / bearing[pair[0]]:.1f} %"] for pair, count in times.items()}
    listed = pd.read_csv(out / "confusions.csv")
    assert listed["times"].is_monotonic_decreasing
    assert len(listed) == len(times)
    assert "Broken videos are left out." in read.text


def test_broken_videos_are_no_confusion(tmp_path):
    table = PredictionTable(
        ("seen", "broken"), np.array([False, True]), ("a", "a"), ("a", "b"), np.array([[0.9, 0.1], [0.1, 0.9]]), {}
    )
    assert sections.confusion_table(table).empty
    missed = sections.confusion_table(replace(table, broken=np.array([True, False]), labels=("a", "a")))
    assert missed.to_dict("records") == [{"label": "a", "instead": "b", "times": 1.0, "percent": 100.0}]


def test_labels_that_stand_together_are_a_share_of_the_rows_class(tmp_path):
    labels = ("often;rare", "often", "often", "often")
    rows = [VideoRecord(f"{n}", "train", f"{n}", text) for n, text in enumerate(labels)]
    train = Manifest(pd.DataFrame(rows, columns=list(VideoRecord._fields)), ("often", "rare"))
    class_stats.write(tmp_path, train, 4)
    chart = sections.together(tmp_path)["chart"]
    assert "<title>often, with rare: 25 %</title>" in chart
    assert "<title>rare, with often: 100 %</title>" in chart


def test_curves_start_at_epoch_1_and_the_loss_at_100_percent(unequal):
    sources, _, read = unequal
    svg = curves.section(Inputs.read(sources))["drawn"]["loss"]
    ticks = re.findall(r'x="40" y="([\d.]+)" text-anchor="end">(\d+)<', svg)
    of_percent = {int(text): float(y) - 4 for y, text in ticks}
    first, _, last = re.search(
        r'class="line s0 dash0"[^>]* d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)h0', svg
    ).groups()
    per_percent = (of_percent[100] - of_percent[40]) / 60
    assert float(first) == pytest.approx(of_percent[100], abs=0.1)
    assert float(last) == pytest.approx(of_percent[40] - 15 * per_percent, abs=0.2), "1.0 of 4.0"
    assert "without the 1 broken video of val" in read.text


def test_the_settings_that_a_probe_compared_are_a_table_and_no_curve(unequal, tmp_path):
    sources, *_ = unequal
    inputs = Inputs.read(sources)
    assert curves.section(inputs)["compared"] == []
    models = tmp_path / "models"
    for name in inputs.members:
        shutil.copytree(sources.models / name, models / name)
    folder = models / inputs.members[0] / "curves/plots/metrics"
    shutil.rmtree(folder)
    (folder / "held_out").mkdir(parents=True)
    for name, values in {
        "decay": (1, 0.1, 1, 0.1),
        "appearance": (0, 0, 2, 2),
        "held_out/mAP": (50, 60, 70, 65),
    }.items():
        rows = "".join(f"{step}\t{value}\n" for step, value in enumerate(values, start=1))
        (folder / f"{name}.tsv").write_text(f"step\t{Path(name).name}\n{rows}")
    found = curves.section(Inputs.read(replace(sources, models=models)))
    rows = [(0.0, [60, 50]), (2.0, [65, 70])]
    expected = {"decays": [0.1, 1.0], "rows": rows, "best": 70.0, "other": "appearance"}
    assert found["compared"] == [{"name": inputs.members[0], **expected}]
    assert inputs.members[0] not in found["names"]


def test_the_table_of_splits_counts_what_is_short_or_damaged(unequal):
    sources, _, read = unequal
    index = pd.read_csv(sources.frames, sep="\t")
    for split, row in zip(("train", "val", "test"), read.tables["data"][0][1:], strict=True):
        part = index[index["video"].str.startswith(split)]
        assert row[:3] == [split, "30", "1"]
        assert row[3:5] == [str((part["damaged"] > 0).sum()), str((part["promised"] > part["frames"]).sum())]
        assert row[5] == "6"


def test_origins_are_what_the_recipes_say(unequal):
    sources, _, read = unequal
    rows = read.tables["provenance"][0]
    assert rows[0][3] == "best epoch"
    assert rows[0][8] == "device"
    assert rows[1] == ["weak", "tsn", "3", "2", "16", "bce", "0.01", "0", "cuda", "000000000000"]
    assert rows[2] == [
        "strong",
        "tin",
        "3",
        "2",
        "17",
        "bce",
        "0.02",
        "1",
        "2 \N{MULTIPLICATION SIGN} cuda, cpu",
        "111111111111",
    ]
    assert f"numpy\xa0{np.__version__}" in read.text
    assert "“Best epoch” counts from 1, as the curves do; result.epoch of the recipes below counts from 0." in read.text
    settings = json.loads(read.text.split("Settings of the ensemble")[1].split("Recipe of")[0])
    assert settings == PredictionTable.read(sources.ensemble / "test.parquet").meta["settings"]
    assert settings["subsets"]["nobody"] == ["x*"]


def test_the_curves_of_all_models_are_one_table(unequal):
    sources, out, _ = unequal
    table = pd.read_csv(out / "curves.csv")
    parts = ["loss_present", "loss_absent"]
    assert list(table.columns) == ["model", "epoch", "figure", "train_figure", "loss", *parts, "gradient_norm", "lr"]
    for model, rows in table.groupby("model"):
        folder = sources.models / model / "curves/plots/metrics"
        named = {name: f"{name}.tsv" for name in ("loss", *parts, "gradient_norm", "lr")}
        for name, file in {"figure": "val/mAP.tsv", "train_figure": "train/mAP.tsv", **named}.items():
            wanted = pd.read_csv(folder / file, sep="\t")
            assert rows["epoch"].tolist() == wanted["step"].tolist()
            assert rows[name].tolist() == pytest.approx(wanted.iloc[:, 1].tolist())
