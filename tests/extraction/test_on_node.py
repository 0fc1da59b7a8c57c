"""A node that is to extract for others: another FFmpeg or another corpus is refused, never taken for broken videos."""

import os
from pathlib import Path

import pytest

from pipeline.core import fingerprints
from pipeline.core.errors import UserError
from pipeline.core.machine import ffmpeg_version
from pipeline.extraction import on_node
from tests.support import corpus, tiny


def test_the_ffmpeg_of_the_node_is_taken_if_it_has_the_version(tmp_path: Path):
    link = tmp_path / "ffmpeg"
    link.symlink_to(corpus.FFMPEG)
    version = ffmpeg_version(corpus.FFMPEG)
    assert on_node.same_ffmpeg(tiny.machine(tmp_path, ffmpeg=str(link)), version) == str(link)
    with pytest.raises(UserError, match=f"The node {os.uname().nodename} has FFmpeg .*out the work 1.0. Install"):
        on_node.same_ffmpeg(tiny.machine(tmp_path, ffmpeg=str(link)), "1.0")


def test_the_first_video_that_can_be_read_must_be_that_of_the_manifest(tmp_path: Path):
    (tmp_path / "b.mp4").write_bytes(b"video")
    rows = [
        {"path": "a.mp4", "fingerprint": fingerprints.MISSING},
        {"path": "b.mp4", "fingerprint": fingerprints.of_file(tmp_path / "b.mp4")},
        {"path": "c.mp4", "fingerprint": "1-0"},
    ]
    on_node.sees(tmp_path, rows)
    on_node.sees(tmp_path, [])
    (tmp_path / "b.mp4").write_bytes(b"other")
    with pytest.raises(UserError, match=r"b\.mp4 on the node .* is not the file of the manifest.*dataset\.root"):
        on_node.sees(tmp_path, rows)
    with pytest.raises(UserError, match=r"nowhere/b\.mp4 on the node"):
        on_node.sees(tmp_path / "nowhere", rows)
