"""What is played: files of the manifest below the corpus' root, by range, and nothing else."""

import os
from dataclasses import replace

import pytest

from pipeline.core.remote_folder import RemoteFolder
from pipeline.core.segments import Segment
from pipeline.ui.media import Media

CONTENT = bytes(range(256)) * 8


@pytest.fixture
def corpus(catalogue, tmp_path):
    """The folder of videos, with those of the first four rows' folder."""
    folder = tmp_path / "videos" / "part0000"
    folder.mkdir(parents=True)
    (folder / "Clip_0000000.mp4").write_bytes(CONTENT)
    return folder


def test_a_file_comes_whole_and_by_range(client, run, catalogue, corpus):
    browser = client(run, catalogue)
    whole = browser.get("/media/0")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, CONTENT, "video/mp4")
    part = browser.get("/media/0", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    assert browser.get("/media/0", headers={"Range": "bytes=2000-"}).content == CONTENT[2000:]
    assert browser.get("/media/0", headers={"Range": f"bytes={len(CONTENT)}-"}).status_code == 416
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in whole.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["link", "linked folder", "pipe", "missing", "empty", "circle"])
def test_what_is_no_file_below_the_root_is_not_played(client, run, catalogue, corpus, tmp_path, name):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "Clip_0000000.mp4").write_bytes(b"secret")
    file = corpus / "Clip_0000000.mp4"
    file.unlink()
    if name == "link":
        file.symlink_to(tmp_path / "secret" / "Clip_0000000.mp4")
    elif name == "linked folder":
        corpus.rmdir()
        corpus.symlink_to(tmp_path / "secret")
    elif name == "pipe":
        os.mkfifo(file)
    elif name == "empty":
        file.touch()
    elif name == "circle":
        file.symlink_to(file)
    answer = client(run, catalogue).get("/media/0")
    assert answer.status_code == 404
    assert b"secret" not in answer.content
    page = client(run, catalogue).get("/video/0").text
    assert "<video" not in page
    assert "it does not lie on this machine" in page


def test_the_page_of_a_video_that_lies_there_plays_it(client, run, catalogue, corpus):
    assert '<video controls preload="metadata" src="/media/0">' in client(run, catalogue).get("/video/0").text


def test_a_link_within_the_root_is_played(client, run, catalogue, corpus):
    (corpus / "Clip_0000001.mp4").symlink_to("Clip_0000000.mp4")
    assert client(run, catalogue).get("/media/1").content == CONTENT


@pytest.mark.parametrize(
    "path",
    [
        "/media/../secret",
        "/media/%2e%2e/secret",
        "/media/part0000/Clip_0000000.mp4",
        "/media/-1",
        "/media/400",
        "/media/x",
    ],
)
def test_a_path_in_a_request_leads_nowhere(client, run, catalogue, corpus, path):
    assert client(run, catalogue).get(path).status_code == 404


def test_a_segment_plays_its_part(catalogue, tmp_path):
    spans = {0: Segment(12.5, 20.0), 1: Segment(3.0)}
    media = Media(replace(catalogue, spans=spans), tmp_path, tmp_path)
    assert [media.span(video) for video in range(3)] == ["#t=12.5,20", "#t=3", ""]


def test_a_remote_corpus_is_not_played(catalogue, tmp_path):
    media = Media(catalogue, RemoteFolder("memory://videos"), tmp_path)
    assert media.kind(0) == ""
    with pytest.raises(Exception, match="from where videos are not played"):
        media.file(0)


def test_frames_are_those_of_the_store_evenly_spaced(client, evil_run, tmp_path):
    browser = client(evil_run)
    page = browser.get("/video/0").text
    assert page.count("/frame/0/") == 6
    frames = [browser.get(f"/frame/0/{number}.jpg") for number in range(6)]
    assert all(one.headers["content-type"] == "image/jpeg" for one in frames)
    assert len({one.content for one in frames}) == 6
    assert browser.get("/frame/0/6.jpg").status_code == 404
    assert browser.get("/frame/5/0.jpg").status_code == 404  # the broken one of train
