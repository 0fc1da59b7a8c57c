from pathlib import Path
from urllib.parse import unquote, urljoin, urlparse

import pytest

from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.report.video_links import VideoLinks

ODD = "a b/50%#1?<x>\"'&é.mp4"


def corpus(*rows: tuple[str, float | None, float | None]) -> Manifest:
    records = [VideoRecord(f"v{n}", "test", path, "", "1-x", *span) for n, (path, *span) in enumerate(rows)]
    others = [VideoRecord(split, split, f"{split}.mp4", "a", "1-x") for split in ("train", "val")]
    return Manifest.from_records([*records, *others], ["a"]).split("test")


def test_a_relative_link_leads_from_the_page_to_the_file_however_odd_its_name():
    links = VideoLinks.of(corpus((ODD, None, None)), "data/my: videos", Path("data/report"))
    page = "file:///home/someone/project/data/report/index.html"
    assert unquote(urlparse(urljoin(page, links.to("v0"))).path) == f"/home/someone/project/data/my: videos/{ODD}"
    assert not set("<>\"'&#? ") & set(links.to("v0"))


@pytest.mark.parametrize("root", ["data/report/javascript:alert(1)", "data/report", "../elsewhere", "/videos/x y"])
def test_no_root_is_taken_for_a_scheme_of_its_own(root):
    url = VideoLinks.of(corpus(("a.mp4", None, None)), root, Path("data/report")).to("v0")
    assert url.startswith(("./", "../", "file:///"))
    assert urlparse(urljoin("file:///p/data/report/index.html", url)).scheme == "file"


def test_an_absolute_root_is_a_file_of_this_machine_and_a_url_has_no_links():
    rows = corpus((ODD, None, None))
    url = urlparse(VideoLinks.of(rows, "/my videos", Path("data/report")).to("v0"))
    assert (url.scheme, url.netloc, unquote(url.path)) == ("file", "", f"/my videos/{ODD}")
    remote = VideoLinks.of(rows, "s3://bucket/videos", Path("data/report"))
    assert (remote.to("v0"), remote.some(["v0"])) == ("", {})


def test_a_segment_plays_its_part():
    rows = corpus(("a.mp4", 12.5, 20.0), ("a.mp4", 12.5, None), ("a.mp4", None, 3.0), ("b.mp4", None, None))
    links = VideoLinks.of(rows, "/c", Path("out"))
    assert [links.to(f"v{n}").partition("a.mp4")[2] for n in range(3)] == ["#t=12.5,20", "#t=12.5", "#t=0,3"]
    assert links.some(["v3"]) == {"v3": "b.mp4"}
