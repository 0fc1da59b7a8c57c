"""The page of a comparison: one file, nothing from elsewhere, every name escaped."""

import re
from contextlib import ExitStack
from copy import deepcopy

import numpy as np
import pytest

from pipeline.comparison import page
from pipeline.comparison.compare import compare
from pipeline.comparison.run import find
from pipeline.predictions.table import PredictionTable
from tests.comparison.conftest import SETTINGS
from tests.support.browser import in_browser
from tests.support.devtools import Tab
from tests.support.html_page import EVIL


def hostile(answers: list[int]) -> PredictionTable:
    """Thirty videos of two classes, with names that are markup."""
    classes, labels = (EVIL, "b&c"), [0, 1] * 15
    scores = np.eye(2, dtype=np.float32)[answers]
    videos = tuple(f"{EVIL}{number}" for number in range(30))
    meta = {"protocol": "clip", "task": "single_label"}
    return PredictionTable(videos, np.zeros(30, bool), tuple(classes[n] for n in labels), classes, scores, meta)


def test_the_page_holds_what_was_found_and_escapes_it(made, tmp_path):
    other = deepcopy(SETTINGS)
    other["dataset"]["root"] = EVIL
    a, b = made("a", "rrjjrrrr"), made("b", "rrjjrrrr", other)
    for folder, answers in ((a, [0] * 30), (b, [0, 1] * 15)):
        hostile(answers).write(folder / "data/ensemble/test.parquet")
        (folder / "data/ensemble/SHA256SUMS").unlink()
    with ExitStack() as stack:
        found = compare([find(str(folder), stack) for folder in (a, b)])
    page.write(found, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert EVIL not in html
    assert "b&amp;c" in html
    assert "dataset.root" in html
    (title,) = re.findall("<title>(.*)</title>", html)
    assert title.startswith("dataset.root &#34;videos&#34; -&gt; ")  # a run is named by what was set
    assert f'<h1>B against A: <span class="name">{title}</span></h1>' in html
    assert "<strong>+50.00</strong>" in html  # of all videos, and of the class "b&c" 100
    assert "<strong>+100.00</strong>" in html
    assert "Right in B alone: 15" in html
    assert not re.findall(r"(?:src|href)=\"(?!data:)", html)
    assert "<script" not in html
    page.write(found, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "page.html").read_bytes()


@pytest.mark.slow  # it starts a browser
@in_browser
def test_on_a_phone_the_page_scrolls_where_it_says_so(made, tmp_path):
    other = deepcopy(SETTINGS)
    other["models"]["net"]["train"]["lr"] = 1.0
    folders = [made("a", "rrjjrrrr"), made("b", "rrjjffrj", other)]
    with ExitStack() as stack:
        page.write(compare([find(str(folder), stack) for folder in folders]), tmp_path / "page.html")
    with Tab(tmp_path / "page.html", tmp_path / "profile", 390) as tab:
        whole, wide, said = tab.run("""
            const wide = all(".scroll").filter(one => one.scrollWidth > one.clientWidth + 1);
            const said = wide.filter(one => getComputedStyle(one).backgroundImage.includes("gradient"));
            return [document.documentElement.scrollWidth, wide.length, said.length];
        """)
        assert tab.console == []
    assert whole == 390
    assert wide == said > 0
