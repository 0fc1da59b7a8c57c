"""The gallery as it is used: filters, frames that follow each other, files that play; in a browser."""

import json
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.predictions.table import PredictionTable
from pipeline.report.config import ReportConfig
from pipeline.report.page import PAGE, write_page
from tests.support import finished
from tests.support.browser import in_browser
from tests.support.devtools import Tab
from tests.support.html_page import EVIL, check

pytestmark = pytest.mark.slow  # they start a browser
COLOURS = ("red", "green", EVIL, "blue")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(input paths, page) of a run of 24 videos and three members; the videos of test lie there but for one."""
    folder = tmp_path_factory.mktemp("gallery")
    sources = finished.run(folder, COLOURS, members=("one", "two", "three"), videos=24, prefix="<b>&")
    (folder / "my videos").mkdir()
    film(folder / "film.webm")
    for number in range(1, 24):
        shutil.copy(folder / "film.webm", folder / "my videos" / f"test{number}.mp4")
    write_page(sources, folder / "report", str(folder / "my videos"), ReportConfig())
    return sources, folder / "report" / PAGE


def film(path: Path) -> None:
    """Four seconds of WebM, which any Chromium plays, whatever the name says."""
    what = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=4", "-c:v", "libvpx", "-f", "webm"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *what, path], check=True)


@pytest.fixture(scope="module")
def tab(run, tmp_path_factory):
    with Tab(run[1], tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_the_page_is_whole(run):
    check(run[1].read_text().replace("file://", "file:///corpora"))


@in_browser
def test_filters_combine(tab, run):
    fused = PredictionTable.read(run[0].ensemble / "test.parquet")
    cards, shown, said, groups = tab.run("""
        const cards = all(".exhibit").map(card => [card.dataset.video, JSON.parse(card.dataset.classes),
            card.dataset.kind, card.dataset.members]);
        enter(all("select[name=class]")[0], "green");
        enter(all("select[name=members]")[0], "some");
        const shown = all(".exhibit").filter(card => card.checkVisibility()).map(card => card.dataset.video);
        const groups = all("#gallery h3").filter(one => one.checkVisibility()).length;
        const said = all(".filters output")[0].value;
        all(".filters")[0].reset(); enter(all("select[name=class]")[0], "");
        return [cards, shown, said, groups];
    """)
    expected = []
    for video, classes, _, members in cards:
        row = fused.videos.index(video)
        labels = fused.labels[row].split(";")
        order = sorted(range(len(COLOURS)), key=lambda i: -fused.probabilities[row, i])
        assert set(classes) == set(labels) | {fused.classes[i] for i in order[: len(labels)]}
        expected += [video] if "green" in classes and members == "some" else []
    assert shown == expected
    assert 0 < len(shown) < len(cards)
    assert said == f"{len(shown)} of {len(cards)} videos"
    assert groups <= 4


@in_browser
def test_a_search_finds_what_a_card_says(tab):
    shown, hidden = tab.run("""
        enter(all(".filters input")[0], "blue one");
        const found = [true, false].map(is => all(".exhibit").filter(card => card.hidden !== is));
        enter(all(".filters input")[0], "");
        return found.map(cards => cards.map(card => card.innerText + card.querySelector("details").textContent));
    """)
    assert shown
    assert all("blue" in text and "one" in text for text in shown)
    assert all("blue" not in text for text in hidden)


PLAY = """
    const card = all(".exhibit").find(one => one.dataset.video.endsWith(%s));
    press(card.querySelector("button"));
    const dialog = document.getElementById("player"), film = dialog.querySelector("video");
    await new Promise(done => {
        film.addEventListener("timeupdate", () => film.currentTime > %s && done());
        film.addEventListener("error", () => setTimeout(done, 50));
    });
    const frames = dialog.querySelector(".frames img");
    const found = {
        time: film.currentTime, width: film.videoWidth, frames: frames?.src.slice(0, 15) ?? "",
        moves: frames ? getComputedStyle(frames).animationName : "",
        said: dialog.querySelector("[role=status]").innerText,
    };
    dialog.close();
    await new Promise(done => setTimeout(done, 50));
    return {...found, left: dialog.children.length};
"""


@in_browser
def test_a_clip_plays_where_it_lies_under_the_pages_policy(tab, run):
    there = tab.run("return all('.exhibit').map(card => card.dataset.video).find(video => !video.endsWith('test0'))")
    found = tab.run(PLAY % (json.dumps(there), 0.2))
    assert found["width"] == 64
    assert 0.2 < found["time"] < 4
    assert (found["frames"], found["left"]) == ("", 0), "what is closed plays no longer"


@in_browser
def test_where_no_file_lies_its_frames_follow_each_other(tab, run, tmp_path):
    text = run[1].read_text().replace("my%20videos", "moved")
    (tmp_path / PAGE).write_text(text)
    with Tab(tmp_path / PAGE, tmp_path / "profile") as moved:
        video = moved.run("return all('.exhibit')[0].dataset.video")
        found = moved.run(PLAY % (json.dumps(video), 0.2))
    assert (found["width"], found["frames"], found["moves"]) == (0, "data:image/jpeg", "frames")
    assert found["said"].startswith("The file is not where this page expects it")


@in_browser
def test_a_segment_begins_at_its_start(run, tmp_path):
    text = run[1].read_text()
    for number in range(24):
        text = text.replace(f'test{number}.mp4"', f'test{number}.mp4#t=2,3"')
    (tmp_path / PAGE).write_text(text)
    with Tab(tmp_path / PAGE, tmp_path / "profile") as segment:
        there = segment.run(
            "return all('.exhibit').map(one => one.dataset.video).find(name => !name.endsWith('test0'))"
        )
        assert 2 < segment.run(PLAY % (json.dumps(there), 2.1))["time"] < 3


@in_browser
def test_without_links_frames_are_all_that_plays_and_beyond_the_budget_it_is_said(run, tmp_path):
    write_page(run[0], tmp_path / "report", "videos", ReportConfig(strips_megabytes=0.004, video_links=False))
    text = (tmp_path / "report" / PAGE).read_text()
    assert "file:///" not in text
    assert "<video" not in text
    with Tab(tmp_path / "report" / PAGE, tmp_path / "profile") as bare:
        first, last, words = bare.run("""
            const dialog = document.getElementById("player");
            const open = card => {
                press(card.querySelector("button"));
                const count = selector => dialog.querySelectorAll(selector).length;
                const found = [count("video"), count(".frames"), dialog.innerText];
                dialog.close();
                return found;
            };
            const cards = all(".exhibit"), first = open(cards[0]);
            await new Promise(done => setTimeout(done, 50));
            const last = open(cards.at(-1));
            await new Promise(done => setTimeout(done, 50));
            press(all(".opens")[0]);
            return [first, last, document.getElementById("class").innerText];
        """)
    assert first[:2] == [0, 1]
    assert last[:2] == [0, 0]
    assert "No room for its frames in this page" in last[2]
    assert "Frames were left out where this page has 0.004 MB of them (report.strips_megabytes)." in words
