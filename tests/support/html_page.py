"""The page, read as a parser reads it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from pipeline.report.config import ReportConfig
from pipeline.report.inputs import InputPaths
from pipeline.report.page import PAGE, write_page

EVIL = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
"""A name that would run as code or as a template where it is not escaped."""
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


def page(sources: InputPaths, out: Path, corpus: str = "clips", config: ReportConfig | None = None) -> str:
    write_page(sources, out, f"/corpora/{corpus}", config or ReportConfig())
    return (out / PAGE).read_text(encoding="utf-8")


def check(text: str) -> Reader:
    """The page is whole, and asks nobody for anything."""
    read = Reader(text)
    assert len(set(read.ids)) == len(read.ids)
    inside = {link for link in read.links if link.startswith("#")}
    assert {link.removeprefix("#") for link in inside} <= set(read.ids)
    assert all(link.startswith(("file:///corpora/", "./", "../")) for link in set(read.links) - inside)
    assert all(load.startswith("data:") for load in read.loads)
    style = text[text.index("<style>") : text.index("</style>")]
    assert not OUTSIDE.search(style)
    policy = re.search(r"script-src 'sha256-([^']+)'", text)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == read.tags.count("script") == 2
    (kind, data), (plain, script) = scripts
    assert (kind, plain) == (' type="application/json" id="page-data"', "")  # what is JSON is never run
    assert json.loads(data)["classes"]
    assert policy[1] == base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "innerHTML" not in script
    return read
