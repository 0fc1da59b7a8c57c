"""The page, read as a parser reads it, and as a browser shows it."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import finished
import numpy as np
import pandas as pd
import pytest

from pipeline import report, store, tables
from pipeline.errors import BadInput
from pipeline.predictions import PredictionTable

EVIL = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
VOID = {"meta", "link", "img", "br", "hr", "input"}
OUTSIDE = re.compile(r"""(?:url\(|@import|https?:|//)\s*['"]?(?!www\.w3\.org)""")


class Reader(HTMLParser):
    """Tags in balance, ids, targets of links, what a browser would load, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        assert len(found) == len(attributes), f"<{tag}> has an attribute twice"
        assert not any(name.startswith("on") for name in found), f"<{tag}> runs code"
        self.ids += [found["id"]] if "id" in found else []
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

    def handle_data(self, data):
        self.text += data


def page(sources, out: Path) -> str:
    report.write(sources, out)
    return (out / report.PAGE).read_text(encoding="utf-8")


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
    sources = finished.run(tmp_path, labelled=False, weights="fitted")
    read = check(page(sources, tmp_path / "report"))
    assert "since nobody labelled test" in read.text
    assert "Sample mAP, cross-fitted" in read.text
    assert not re.search(r"\bnan\b", read.text), "what is not known is a dash"


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


def test_ranks_are_not_sold_as_probabilities(tmp_path):
    sources = finished.run(tmp_path, mean="rank")
    assert "its line says nothing about confidence" in page(sources, tmp_path / "report")


def test_another_protocol_and_weights_of_each_class_are_said(tmp_path):
    sources = finished.run(tmp_path, protocol="clip", weights="per_class")
    text = check(page(sources, tmp_path / "report")).text
    assert "The ensemble fuses clip; the members are shown under multiscale." in text
    assert "its share of the fused score, the mean over the classes" in text


def test_a_video_without_frames_keeps_its_place_in_the_gallery(tmp_path):
    sources = finished.run(tmp_path)
    for name, columns in ((sources.frames, store.FRAME_COLUMNS), (sources.lmdb / store.INDEX, store.COLUMNS)):
        tables.write(name, pd.read_csv(name, sep="\t", dtype=str, keep_default_na=False).iloc[:0][list(columns)])
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
    with pytest.raises(BadInput, match=f"{gone}.* does not exist. `dvc repro"):
        report.write(sources, tmp_path / "report")
    assert [file.name for file in (tmp_path / "report").iterdir()] == ["old"]


def test_predictions_of_another_corpus_are_refused(tmp_path):
    one, other = finished.run(tmp_path / "a"), finished.run(tmp_path / "b", prefix="x")
    shutil.copy(other.ensemble / "test.parquet", one.ensemble / "test.parquet")
    with pytest.raises(BadInput, match=r"test\.parquet holds other videos or classes"):
        report.write(one, tmp_path / "report")


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
    shown, console = browse(done[1] / report.PAGE, tmp_path)
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
