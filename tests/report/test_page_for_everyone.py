"""The page for those who see little, have no mouse, or hold a phone: contrast, names, order and edges; in a browser."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.report import page as page_module
from pipeline.report.page import PAGE
from tests.support.browser import in_browser
from tests.support.devtools import Tab

slow = pytest.mark.slow  # they start a browser
STYLE = (Path(page_module.__file__).parent / "template" / "style.css").read_text()
TEXTS = ("ink", "quiet", "accent", "good")
GROUNDS = ("paper", "card")
MARKS = ("accent", "second", "good", *(f"h{n}" for n in range(8)))
CONTRASTS = """
    const dot = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
    const brush = dot.getContext("2d", {willReadFrequently: true});
    const pixel = colours => {
        brush.clearRect(0, 0, 1, 1);
        for (const colour of colours) { brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1); }
        return [...brush.getImageData(0, 0, 1, 1).data];
    };
    const grounds = one => one ? [...grounds(one.parentElement), getComputedStyle(one).backgroundColor] : [];
    const found = new Map();
    for (const one of all("body *")) {
        const text = [...one.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
        if (!text.length || !one.checkVisibility() || one.closest("script, svg")) continue;
        const below = grounds(one), colour = getComputedStyle(one).color;
        const key = [...pixel(below), ...pixel([...below, colour])].join();
        if (!found.has(key)) found.set(key, [...pixel(below).slice(0, 3), ...pixel([...below, colour]).slice(0, 3),
            text[0].data.trim().slice(0, 40)]);
    }
    return [...found.values()];
"""


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The ratio of two sRGB colours, 1..21, as WCAG 2.2 defines it."""
    light = sorted(luminance(*colour) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(*rgb: int) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def colours(scheme: str) -> dict[str, tuple[int, ...]]:
    light, dark = STYLE.split("prefers-color-scheme: dark", 1)
    named = re.findall(r"--(\w+): #(\w{6})", light if scheme == "light" else dark)
    return {name: tuple(bytes.fromhex(digits)) for name, digits in named}


def test_black_on_white_is_21():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01), "WCAG's own example, #777"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_named_colours_can_be_read_and_lines_be_told_from_their_ground(scheme):
    """WCAG 2.2: 4.5 for text (1.4.3), 3 for what is drawn (1.4.11)."""
    known = colours(scheme)
    for ground in GROUNDS:
        for text in TEXTS:
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
        for mark in MARKS:
            assert contrast(known[mark], known[ground]) >= 3, (mark, ground)
    for text in ("ink", "quiet"):
        assert contrast(known[text], known["fill"]) >= 4.5, text


@pytest.fixture(scope="module", params=["light", "dark"])
def tab(request, done, tmp_path_factory):
    """The page in a browser, in light and in dark, on a phone."""
    with Tab(done[1] / PAGE, tmp_path_factory.mktemp("profile"), 390, request.param) as opened:
        yield opened


@slow
@in_browser
@pytest.mark.parametrize("opened", ["page", "class", "matrix", "player"])
def test_every_text_stands_out_from_its_ground(tab, opened):
    """WCAG 2.2, 1.4.3, of what is really shown, whatever colours lie upon each other."""
    press = {
        "page": "all('details').forEach(one => one.open = true)",
        "class": "press(all('th.opens')[0])",
        "matrix": "press(all('[data-matrix]')[0])",
        "player": "press(all('.exhibit button')[0])",
    }
    shut = "all('dialog[open]').forEach(one => one.close()); await new Promise(done => setTimeout(done, 50));"
    found = tab.run(f"{shut} {press[opened]}; {CONTRASTS}")
    assert len(found) >= (6 if opened == "page" else 2)
    for *six, text in found:
        assert contrast(tuple(six[:3]), tuple(six[3:])) >= 4.5, (text, six)


@slow
@in_browser
def test_what_acts_has_a_name_and_what_opens_says_so(tab):
    nameless, unsaid, tables, scrollers = tab.run("""
        all("dialog[open]").forEach(one => one.close());
        await new Promise(done => setTimeout(done, 200));
        const nameless = all("button, input, select, a, summary").filter(one => one.checkVisibility()
            && !(one.ariaLabel || one.textContent.trim() || one.labels?.length));
        const unsaid = all(".opens button, .strip, [data-matrix] button")
            .filter(one => one.getAttribute("aria-haspopup") !== "dialog" || !one.hasAttribute("aria-expanded"));
        const tables = all("main th").filter(one => !one.scope).length;
        const wide = all(".scroll").filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1);
        const right = wide.filter(one => one.tabIndex === 0 && one.role === "region" && one.ariaLabel
            && one.classList.contains("scrolls") && getComputedStyle(one).backgroundImage !== "none");
        const said = all(".scrolls").filter(one => one.checkVisibility()).length;
        return [nameless.length, unsaid.length, tables, [wide.length, right.length, said]];
    """)
    assert (nameless, unsaid, tables) == (0, 0, 0)
    assert scrollers[0] == scrollers[1] == scrollers[2] > 0, "what is wider than a phone, and only that, says so"
