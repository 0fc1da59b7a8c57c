"""The pages as a parser reads them."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.ui.query import PAGE
from tests.support import finished
from tests.support.html_page import EVIL, VOID
from tests.ui.conftest import FORM


class Reader(HTMLParser):
    """A page in balance, whose attributes run nothing: its links, sources, forms and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.links, self.loads, self.forms, self.fields, self.text = [], [], [], [], [], ""
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert tag != "script"
        assert len(found) == len(attributes), f"<{tag}> has an attribute twice"
        assert not any(name.startswith("on") or name == "style" for name in found), f"<{tag}> has code or style"
        self.links += [found["href"]] if tag == "a" else []
        self.loads += [value for name, value in found.items() if name == "src" or (tag == "link" and name == "href")]
        self.forms += [found["action"]] if tag == "form" else []
        self.fields += [found] if tag in ("input", "select") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data):
        self.text += data


def read(answer):
    page = Reader(answer.text)
    assert all(link.startswith("/") and not link.startswith("//") for link in [*page.links, *page.forms])
    assert all(load.startswith(("/frame/", "/media/", "/style.css", "data:,")) for load in page.loads)
    return page


def rows_of(page):
    return [int(found[1]) for link in page.links if (found := re.match(r"/video/(\d+)\?", link))]


def test_pages_show_every_video_that_passes_once_and_in_order(client, run, catalogue):
    browser, found = client(run, catalogue), []
    for number in range(1, 4):
        page = read(browser.get(f"/?split=val&sort=apart&page={number}"))
        assert "100 videos" in page.text
        found += rows_of(page)
    assert len(found) == len(set(found)) == 100 > 2 * PAGE
    apart = catalogue.apart[found]
    assert (np.diff(apart[~np.isnan(apart)]) <= 0).all()
    assert set(found) == set(range(1, 400, 4))
    assert browser.get("/?split=val&page=4").status_code == 404


@pytest.mark.parametrize("digits", [18, 19, 4_301, 20_000])
def test_a_number_of_any_length_names_nothing(client, run, catalogue, digits):
    browser, number = client(run, catalogue), "9" * digits
    for address in (f"/video/{number}", f"/media/{number}", f"/frame/{number}/0.jpg", f"/frame/0/{number}.jpg"):
        assert browser.get(address).status_code == 404, address[:20]
    for change in ("mark", "unmark"):
        assert browser.post(f"/video/{number}/{change}", data={"label": "class 000"}, headers=FORM).status_code == 404
    assert browser.get(f"/?page={number}").status_code == 400


def test_the_page_of_a_video_has_every_models_answers(client, run, catalogue):
    answer = client(run, catalogue).get("/video/1?split=val")
    page = read(answer)
    best = catalogue.scores("m0", 1)
    assert f"{best.max():.3f}" in page.text
    for model in catalogue.models:
        assert model in page.text
    for label in catalogue.labels[1]:
        assert f"{catalogue.scores('ensemble', 1)[label]:.3f}" in page.text
    assert "1 of 100" in page.text
    assert "/video/5?split=val" in page.links


def test_a_broken_video_says_why_and_a_train_video_has_no_answers(client, run, catalogue):
    browser = client(run, catalogue)
    assert "truncated" in read(browser.get("/video/49")).text
    assert "It gave no frame: cut" in read(browser.get("/video/49")).text
    assert "No model answers it: it is in train" in read(browser.get("/video/0")).text


def test_hostile_names_do_nothing(client, evil_run):
    browser = client(evil_run)
    browser.post("/video/8/mark", data={"label": EVIL, "comment": EVIL}, headers=FORM)
    pages = [
        "/",
        "/video/8",
        "/?name=%3Cscript%3E",
        "/?label=" + "%3Cimg%20src%3Dx%3E",
        "/?page=%3Cb%3E",
        "/%3Cscript%3E",
    ]
    for path in pages:
        answer = browser.get(path)
        assert "<img src=x" not in answer.text
        assert "<script" not in answer.text
        assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", answer.text)  # no template within a name was run
        read(answer)
    assert "</script>&val0" in read(browser.get("/?split=val")).text
    assert EVIL in read(browser.get("/video/8")).text


def test_a_mark_is_set_told_and_taken_back(client, run, catalogue):
    browser = client(run, catalogue)
    label, other = catalogue.names(1)[0], next(n for n in catalogue.classes if n not in catalogue.names(1))
    set_one = browser.post("/video/1/mark?split=val", data={"label": label, "comment": "it rises"}, headers=FORM)
    assert (set_one.status_code, set_one.headers["location"]) == (303, "/video/1?split=val#marks")
    browser.post("/video/1/mark", data={"label": other, "comment": ""}, headers=FORM)
    table = list(csv.DictReader(io.StringIO(browser.get("/marks.csv").text)))
    name = catalogue.videos[1].as_py()
    assert [(r["video"], r["label"], r["mark"], r["comment"]) for r in table] == [
        (name, label, "wrong", "it rises"), (name, other, "missing", ""),
    ]  # fmt: skip
    assert rows_of(read(browser.get("/?marked=yes"))) == [1]
    assert "it rises" in read(browser.get("/video/1")).text
    for marked in (label, other):
        browser.post("/video/1/unmark", data={"label": marked}, headers=FORM)
    assert rows_of(read(browser.get("/?marked=yes"))) == []


def test_a_video_that_was_just_marked_keeps_its_neighbours(client, run, catalogue):
    browser = client(run, catalogue)
    browser.post("/video/5/mark?split=val&marked=no", data={"label": "class 000"}, headers=FORM)
    page = read(browser.get("/video/5?split=val&marked=no"))
    assert {"/video/1?split=val&marked=no", "/video/9?split=val&marked=no"} <= set(page.links)


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        ({"label": "no such class"}, FORM, 400),
        ({"label": "class 000", "comment": "=cmd|x"}, FORM, 400),
        ({"label": "class 000"}, {}, 403),
        ({"label": "class 000"}, {"Origin": "http://evil.example"}, 403),
        ({"label": "class 000", "comment": "x" * 20_000}, FORM, 413),
        ({f"field{n}": "" for n in range(20)}, FORM, 400),
    ],
)
def test_a_bad_form_marks_nothing(client, run, catalogue, tmp_path, data, headers, status):
    browser = client(run, catalogue)
    assert browser.post("/video/1/mark", data=data, headers=headers).status_code == status
    assert (
        browser.post("/video/1/mark", content=b"{}", headers=FORM | {"Content-Type": "text/plain"}).status_code == 415
    )
    assert browser.post("/video/400/mark", data={"label": "class 000"}, headers=FORM).status_code == 404
    assert browser.get("/video/1/mark").status_code == 405
    assert not (tmp_path / "marks.csv").exists()


def test_a_damaged_file_of_marks_is_told_on_the_page(client, run, catalogue, tmp_path):
    (tmp_path / "marks.csv").write_text("my own notes")
    answer = client(run, catalogue).get("/")
    assert (answer.status_code, "is no table of marks" in answer.text) == (400, True)


def test_nothing_is_asked_of_other_servers_by_the_style(client, run, catalogue):
    style = client(run, catalogue).get("/style.css")
    assert style.headers["content-type"].startswith("text/css")
    assert not re.search(r"url\(|@import|https?:", style.text)


def test_a_class_of_which_nobody_knows_is_no_class_that_is_absent(client, tmp_path):
    finished.run(tmp_path / "data", unknown=True)
    manifest = (tmp_path / "data/manifest.tsv").read_text().splitlines()[1:]
    video = next(n for n, row in enumerate(manifest) if row.startswith("val") and "?" in row)
    (name,) = re.findall(r"\?(\w+)", manifest[video])
    page = client(tmp_path).get(f"/video/{video}").text
    assert "of 1 class nobody knows" in page
    assert re.findall(r'class="whole">(\w+)</span></th><td class="text">not known<', page) == [name]
