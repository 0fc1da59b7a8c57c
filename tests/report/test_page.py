"""The page, read as a parser reads it, and as a browser shows it."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
from sklearn.metrics import average_precision_score

from pipeline import class_stats
from pipeline.core import frame_index, tsv
from pipeline.core.errors import UserError
from pipeline.predictions.table import PredictionTable
from pipeline.report.inputs import Run
from pipeline.report.page import PAGE, confusion_table, curves, together, verdict, write_page
from tests.support import finished

EVIL = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
CELL = {"td", "th", "dt", "dd"}
VOID = {"meta", "link", "img", "br", "hr", "input"}
OUTSIDE = re.compile(r"""(?:url\(|@import|https?:|//)\s*['"]?(?!www\.w3\.org)""")


class Reader(HTMLParser):
    """Tags in balance, ids, targets of links, what a browser would load, the text, and that of the cells of tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.section = ""
        self.tables: dict[str, list[list[list[str]]]] = {"": []}
        """Section -> tables -> rows -> cells; the terms of the head are a table, too."""
        self.cell: list[str] | None = None
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        assert len(found) == len(attributes), f"<{tag}> has an attribute twice"
        assert not any(name.startswith("on") for name in found), f"<{tag}> runs code"
        self.ids += [found["id"]] if "id" in found else []
        if tag == "section":
            self.section = found["id"]
            self.tables[self.section] = []
        elif tag in ("table", "dl"):
            self.tables[self.section].append([])
        elif tag == "tr" or (tag == "div" and "dl" in self.open):
            self.tables[self.section][-1].append([])
        elif tag in CELL:
            self.cell = []
        if tag == "a":
            self.links.append(found["href"])
        else:
            self.loads += [value for name, value in found.items() if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another"
        if tag in CELL:
            self.tables[self.section][-1][-1].append(" ".join(" ".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data):
        self.text += data
        if self.cell is not None:
            self.cell.append(data)


def page(sources, out: Path) -> str:
    write_page(sources, out)
    return (out / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run whose names are hostile, and its page."""
    folder = tmp_path_factory.mktemp("done")
    sources = finished.run(folder, classes=("a<b>", EVIL, "plain"), prefix="</script>&", weights="best", mean="best")
    return sources, folder / "report", page(sources, folder / "report")


def check(text: str) -> Reader:
    """The page is whole, and asks nobody for anything."""
    read = Reader(text)
    assert len(set(read.ids)) == len(read.ids)
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert all(load.startswith("data:") for load in read.loads)
    style = text[text.index("<style>") : text.index("</style>")]
    assert not OUTSIDE.search(style)
    assert "script" not in read.tags
    return read


def test_the_page_is_well_formed_and_stands_alone(done):
    check(done[2])


@pytest.mark.parametrize(
    "wrong",
    ['<img src="https://a.b/c">', "<p>", "</section>", '<p id="models"></p>', "<script></script>", '<p onclick="x">'],
)
def test_the_check_itself_can_fail(done, wrong):
    with pytest.raises(AssertionError):
        check(done[2].replace("</main>", f"{wrong}</main>"))


def test_names_are_shown_as_they_are_and_never_run(done):
    text = done[2]
    read = Reader(text)
    assert "onerror" in read.text
    assert EVIL in read.text
    assert "</script>&test" in read.text
    assert "<img src=x" not in text
    assert "49" not in re.findall(r"&#34;&#39;&amp;(.{2})", text)


def test_same_inputs_same_bytes_in_another_folder(done, tmp_path):
    assert page(done[0], tmp_path / "elsewhere") == done[2]
    for file in done[1].rglob("*.csv"):
        assert file.read_bytes() == (tmp_path / "elsewhere" / file.relative_to(done[1])).read_bytes()


def test_headline_figures_are_those_of_the_ensemble(done):
    sources, _, text = done
    rows = pd.read_csv(sources.ensemble / "variants.csv")
    used = rows[rows["used"]].iloc[0]
    assert f"<dd>{used['test']:.2f}</dd>" in text
    assert f"{used['test_low']:.2f} to {used['test_high']:.2f}" in text
    figures = json.loads(sources.metrics.read_text())
    assert f"<td>{figures['tsn']['test_dense']:.2f}</td>" in text


def test_what_is_listed_is_whole_beside_the_page(done):
    sources, out, _ = done
    assert len(pd.read_csv(out / "classes.csv")) == 3
    assert {file.stem for file in (out / "reliability").iterdir()} == {"ensemble", "tsn", "tin"}
    scores = PredictionTable.read(sources.ensemble / "test.parquet")
    assert pd.read_csv(out / "reliability/ensemble.csv")["forecasts"].sum() == scores.probabilities.size


def test_the_ledger_is_told_in_ffmpegs_words(done):
    assert "moov <atom> not found" in Reader(done[2]).text


def test_without_test_labels_val_is_judged_and_the_page_says_so(tmp_path):
    sources = finished.run(tmp_path, labelled=False, weights="fitted", videos=30)
    read = check(page(sources, tmp_path / "report"))
    assert "since nobody labelled test" in read.text
    used = pd.read_csv(sources.ensemble / "variants.csv").query("used").iloc[0]
    terms = read.tables[""][0]
    assert f"{used['val']:.2f}" != f"{used['val_fitted']:.2f}"
    assert terms[0][:2] == ["Sample mAP, cross-fitted", f"{used['val']:.2f}"]
    assert f"Report: {used['val']:.2f} mAP on val" in read.text
    assert terms[1][0] == "Gain over tin , cross-fitted"
    assert all(term[-1].endswith(", fitted to these videos") for term in terms[2:])
    assert read.text.count("fitted to these same videos") == 4, "classes, calibration, confusion, gallery"
    assert not re.search(r"\bnan\b", read.text), "what is not known is a dash"


def test_weights_that_nobody_fitted_need_no_caveat_on_val(tmp_path):
    sources = finished.run(tmp_path, labelled=False, weights="uniform")
    read = check(page(sources, tmp_path / "report"))
    assert "since nobody labelled test:" in read.text
    assert [term[0] for term in read.tables[""][0][:2]] == ["Sample mAP", "Gain over tin"]
    assert "fitted to these" not in read.text


def test_one_model_of_one_class_more_than_its_labels(tmp_path):
    sources = finished.run(tmp_path, classes=("a", "b"), members=("only",), videos=2)
    read = check(page(sources, tmp_path / "report"))
    assert "1 model, 2 classes" in read.text


def test_a_member_that_was_not_trained_here_has_no_recipe_and_no_curve(tmp_path):
    sources = finished.run(tmp_path)
    shutil.rmtree(sources.models)
    read = check(page(sources, tmp_path / "report"))
    assert "there are no curves" in read.text
    assert read.text.count("scores from elsewhere") == 2


def test_shares_of_ranks_have_no_calibration(tmp_path):
    sources = finished.run(tmp_path, mean="rank")
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert "its scores are shares of ranks" in read.text
    assert read.tables["calibration"][0][-1] == ["ensemble", DASH, DASH]
    assert len(read.tables["calibration"]) == 1, "no bins of the ensemble"
    assert 'class="line fused"' not in text
    assert (tmp_path / "report/reliability/ensemble.csv").read_text() == "predicted,observed,forecasts\n"


def test_weights_of_each_class_are_said(tmp_path):
    sources = finished.run(tmp_path, weights="per_class")
    text = check(page(sources, tmp_path / "report")).text
    assert "its share of the fused score, the mean over the classes" in text


def test_a_video_without_frames_keeps_its_place_in_the_gallery(tmp_path):
    sources = finished.run(tmp_path)
    for name, columns in (
        (sources.frames, frame_index.COLUMNS),
        (sources.lmdb / frame_index.FILE, frame_index.PACKED_COLUMNS),
    ):
        tsv.write(name, pd.read_csv(name, sep="\t", dtype=str, keep_default_na=False).iloc[:0][list(columns)])
    text = page(sources, tmp_path / "report")
    check(text)
    assert text.count('<p class="blank">No frames</p>') == 5, "all videos of test but the broken one"


def test_many_classes_and_videos_are_capped_and_it_is_said(tmp_path):
    classes = [f"class {n:03d}" for n in range(60)]
    sources = finished.run(tmp_path, classes=classes, videos=150, resamples=2)
    text = page(sources, tmp_path / "report")
    read = check(text)
    assert "The 20 worst and the 20 best of 60 classes" in read.text
    assert "The 24 most frequent of 60 classes" in read.text
    assert text.count('class="exhibit"') == 12
    assert len(text) < 1_000_000


@pytest.mark.parametrize(
    "gone", ["metrics.json", "ensemble/variants.csv", "ensemble/members.csv", "stats", "broken.tsv"]
)
def test_a_missing_out_is_named_and_an_older_page_stays(tmp_path, gone):
    sources = finished.run(tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "old").touch()
    shutil.rmtree(tmp_path / gone) if gone == "stats" else (tmp_path / gone).unlink()
    with pytest.raises(UserError, match=f"{gone}.* does not exist. `dvc repro"):
        write_page(sources, tmp_path / "report")
    assert [file.name for file in (tmp_path / "report").iterdir()] == ["old"]


def test_predictions_of_another_corpus_are_refused(tmp_path):
    one, other = finished.run(tmp_path / "a"), finished.run(tmp_path / "b", prefix="x")
    shutil.copy(other.ensemble / "test.parquet", one.ensemble / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet holds other videos or classes"):
        write_page(one, tmp_path / "report")


# Cell by cell: what the page shows against what the other stages wrote, and against other people's arithmetic.


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """(sources, folder, the page) of a run in which no two figures that could be taken for one another are the same."""
    folder = tmp_path_factory.mktemp("unequal")
    sources = finished.run(
        folder,
        classes=("ant", "bee", "cat", "dog", "eel"),
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
        (np.nan, np.nan, ""),
    ],
)
def test_only_an_interval_around_0_may_be_chance_and_a_loss_is_a_loss(low, high, said):
    assert verdict(low, high) == said


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
    assert check(page(alone, tmp_path / "alone/report")).tables[""][0][1][1:] == ["+0.00", "+0.00 to +0.00"]


def test_the_table_of_models_is_metrics_json(unequal):
    sources, _, read = unequal
    figures = json.loads(sources.metrics.read_text())
    names = [f"{split}_{protocol}" for split in ("val", "test") for protocol in ("clip", "dense", "multiscale")]
    assert len({figures["strong"][name] for name in names}) == 6
    models, ensembles = read.tables["models"]
    assert models[3:] == [
        [member, *(two(figures[member][name]) for name in names)] for member in ("weak", "strong", "middling")
    ]
    assert models[2] == ["class prior", *(two(figures["prior"][split]) for split in ("val", "test") for _ in range(3))]
    assert ensembles[2] == ["weights used", two(figures["ensemble"]["val"]), two(figures["ensemble"]["test"])]
    assert ensembles[3] == ["cross-fitted", two(figures["ensemble"]["val_crossfit"]), DASH]


def test_the_table_of_variants_is_variants_csv_best_first(unequal):
    sources, _, read = unequal
    rows = pd.read_csv(sources.ensemble / "variants.csv", keep_default_na=False).to_dict("records")
    assert len({row["val"] for row in rows}) > 5

    def cell(row, what, show):
        return f"{show(row[what])} {show(row[what + '_low'])} to {show(row[what + '_high'])}"

    expected = [
        [
            f"{row['weights']}, {row['mean']}"
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
    expected = [[row.member, two(row.weight), plus(row.worth)] for row in rows.itertuples()]
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
    rare = sorted(rows, key=lambda row: row[3])[:2]
    means = [two(np.mean([row[i] for row in rare])) for i in (1, 2)]
    assert thirds[1] == ["rare", "2", f"{rare[0][3]}{DASH}{rare[1][3]}", *means]


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
    assert confusion_table(table).empty
    missed = confusion_table(replace(table, broken=np.array([True, False]), labels=("a", "a")))
    assert missed.to_dict("records") == [{"label": "a", "instead": "b", "times": 1.0, "percent": 100.0}]


def test_labels_that_stand_together_are_a_share_of_the_rows_class(tmp_path):
    targets = np.array([[1, 1], [1, 0], [1, 0], [1, 0]], np.uint8)
    class_stats.write(tmp_path, targets, ("often", "rare"), 4)
    chart = together(tmp_path)["chart"]
    assert "<title>often, with rare: 25 %</title>" in chart
    assert "<title>rare, with often: 100 %</title>" in chart


def test_curves_start_at_epoch_1_and_the_loss_at_100_percent(unequal):
    sources, _, read = unequal
    svg = curves(Run.read(sources))["loss"]
    ticks = re.findall(r'x="40" y="([\d.]+)" text-anchor="end">(\d+)<', svg)
    of_percent = {int(text): float(y) - 4 for y, text in ticks}
    first, _, last = re.search(
        r'class="line s0 dash0" d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)h0', svg
    ).groups()
    per_percent = (of_percent[100] - of_percent[40]) / 60
    assert float(first) == pytest.approx(of_percent[100], abs=0.1)
    assert float(last) == pytest.approx(of_percent[40] - 15 * per_percent, abs=0.2), "1.0 of 4.0"
    assert "without the 1 broken video of val" in read.text


def test_the_table_of_splits_counts_what_is_short(unequal):
    sources, _, read = unequal
    index = pd.read_csv(sources.frames, sep="\t")
    for split, row in zip(("train", "val", "test"), read.tables["data"][0][1:], strict=True):
        part = index[index["video"].str.startswith(split)]
        assert row[:4] == [split, "30", "1", str((part["promised"] > part["frames"]).sum())]
        assert row[4] == "6"


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
    settings = json.loads(read.text.split("Settings of the ensemble")[1].split("Recipe of")[0])
    assert settings == PredictionTable.read(sources.ensemble / "test.parquet").meta["settings"]
    assert settings["subsets"]["nobody"] == ["x*"]


# In a browser.

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
in_browser = pytest.mark.skipif(
    BROWSER is None,
    reason="NOT RUN: no Chromium. Install one (Debian: apt-get install chromium), or name it in $CHROMIUM",
)


def browse(file: Path, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """(the document after it was laid out, lines that the console had) of a page on disk, with no way outside."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
    ]
    options += ["--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", *flags, file.as_uri()]
    done = subprocess.run([str(BROWSER), *options], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@in_browser
def test_a_browser_has_nothing_to_complain_about(done, tmp_path):
    shown, console = browse(done[1] / PAGE, tmp_path)
    assert console == []
    assert shown.count("<section") == 11


@in_browser
@pytest.mark.parametrize("wrong", ['<img src="https://example.org/x.png">', "<script>console.log(1)</script>"])
def test_the_page_forbids_requests_and_code_and_the_console_would_tell(done, tmp_path, wrong):
    (tmp_path / "page.html").write_text(done[2].replace("</main>", f"{wrong}</main>"))
    _, console = browse(tmp_path / "page.html", tmp_path / "profile")
    assert any("Content Security Policy" in line for line in console)


@in_browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(done, tmp_path, width):
    """A script is let in to measure, in a frame, since a window has a least width."""
    measure = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>"
    bare = re.sub(r"<meta http-equiv[^>]*>", "", done[2])
    (tmp_path / "page.html").write_text(bare.replace("</body>", measure))
    listen = "<script>onmessage = event => document.title = event.data</script>"
    frame = f'{listen}<iframe src="page.html" style="border:0;width:{width}px;height:800px"></iframe>'
    (tmp_path / "frame.html").write_text(frame)
    shown, _ = browse(tmp_path / "frame.html", tmp_path / "profile", "--window-size=1400,900")
    assert f"<title>{width}</title>" in shown


@in_browser
@pytest.mark.parametrize("width", [360, 500, 1280])
def test_a_name_of_up_to_24_letters_keeps_to_one_line(tmp_path, width):
    members = ("slowfast_11x8_r101", "tsn_inceptionresnetv2", "tin_r101_16f")  # the second stands in the head, too
    sources = finished.run(tmp_path, members=members)
    count = """<script>
        const style = one => parseFloat(getComputedStyle(one).fontSize)
        const broken = [...document.querySelectorAll(".whole")].filter(one => one.offsetHeight > 2 * style(one))
        parent.postMessage(`${document.querySelectorAll(".whole").length} names, ${broken.length} broken`, "*")
    </script></body>"""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page(sources, tmp_path / "report"))
    (tmp_path / "page.html").write_text(text.replace("</body>", count))
    listen = "<script>onmessage = event => document.title = event.data</script>"
    frame = f'{listen}<iframe src="page.html" style="border:0;width:{width}px;height:800px"></iframe>'
    (tmp_path / "frame.html").write_text(frame)
    shown, _ = browse(tmp_path / "frame.html", tmp_path / "profile", "--window-size=1400,900")
    assert re.search(r"<title>(\d+) names, 0 broken</title>", shown), shown[:200]


@in_browser
def test_light_and_dark_differ_and_both_can_be_read(done, tmp_path):
    """WCAG 2.2, 1.4.3: text against its ground, at least 4.5."""
    tell = "const s=getComputedStyle(document.body);document.title=s.color+'|'+s.backgroundColor"
    (tmp_path / "page.html").write_text(
        re.sub(r"<meta http-equiv[^>]*>", "", done[2]).replace("</body>", f"<script>{tell}</script></body>")
    )
    grounds = []
    for scheme in (0, 1):  # Chromium's numbers: dark, light
        shown, _ = browse(tmp_path / "page.html", tmp_path / "p", f"--blink-settings=preferredColorScheme={scheme}")
        title = shown[shown.index("<title>") : shown.index("</title>")]
        ink, ground = (luminance(*map(int, re.findall(r"\d+", colour)[:3])) for colour in title.split("|"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5
        grounds.append(ground)
    assert grounds[0] < 0.1
    assert grounds[1] > 0.8


def luminance(*rgb: int) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
