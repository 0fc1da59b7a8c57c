"""What one video may take is bounded, and what is no file is said to be none, without waiting for it."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.video_files import fault
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import Extracted, NoFrames
from tests.support import hostile
from tests.support.corpus import FFMPEG


def extract(video: Path, tmp_path: Path, **changed: Any) -> Extracted:
    settings = dict(fps=30, short_side=64, jpeg_qscale=2, timeout_seconds=60, shards=1)
    (tmp_path / "frames").mkdir()
    return extract_frames(video, tmp_path / "frames", ExtractConfig(**(settings | changed)), FFMPEG)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"most_frames": 29}, "more than 29 frames (extract.most_frames)"),
        ({"most_pixels": 160 * 96 - 1}, "pictures of 160x96 pixels (extract.most_pixels)"),
    ],
)
def test_a_video_over_a_limit_is_refused(clips: Path, tmp_path: Path, limit: dict[str, int], words: str):
    with pytest.raises(NoFrames) as error:
        extract(clips / "h264.mp4", tmp_path, **limit)
    assert (error.value.reason, str(error.value), error.value.again) == ("too_large", words, False)


def test_a_video_at_its_limits_is_taken(clips: Path, tmp_path: Path):
    assert extract(clips / "h264.mp4", tmp_path, most_frames=30, most_pixels=160 * 96).words == ""


def test_a_video_that_is_too_long_may_be_cut(clips: Path, tmp_path: Path):
    result = extract(clips / "h264.mp4", tmp_path, most_frames=12, too_long="cut")

    assert (result.frames, result.promised) == (12, 12)
    assert result.words == "cut after 12 frames (extract.most_frames)"
    assert sorted(file.name for file in (tmp_path / "frames").iterdir()) == [f"{n:06d}.jpg" for n in range(12)]


def test_a_named_pipe_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "a.mp4")

    with pytest.raises(NoFrames, match="a pipe, and no file") as error:
        extract(tmp_path / "a.mp4", tmp_path)
    assert error.value.reason == "unreadable"


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a.mp4")

        with pytest.raises(NoFrames) as error:
            extract(tmp_path / "a.mp4", tmp_path)
    assert (error.value.reason, str(error.value)) == ("unreadable", "a socket, and no file")


def test_a_link_to_nothing_is_missing(tmp_path: Path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "nothing")

    with pytest.raises(NoFrames, match="a link to /.*/nothing, which is not there") as error:
        extract(tmp_path / "a.mp4", tmp_path)
    assert (error.value.reason, error.value.again) == ("missing", True)


def test_a_link_to_itself_is_unreadable(tmp_path: Path):
    (tmp_path / "a.mp4").symlink_to("a.mp4")

    with pytest.raises(NoFrames, match="a link that leads in a circle") as error:
        extract(tmp_path / "a.mp4", tmp_path)
    assert (error.value.reason, error.value.again) == ("unreadable", True)


@pytest.mark.parametrize("name", hostile.FILES)
def test_what_is_no_file_is_said_in_the_same_words_by_all_stages(tmp_path: Path, name: str):
    hostile.make(tmp_path / "corpus")

    with pytest.raises(NoFrames) as error:
        extract(tmp_path / "corpus" / name, tmp_path)
    assert (error.value.reason, str(error.value)) == hostile.FILES[name] == fault(tmp_path / "corpus" / name)
