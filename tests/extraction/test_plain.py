"""A file that is taken for plain, and decoded without a look before, gives what it gives after a look."""

import hashlib
import shutil
import tarfile
from pathlib import Path

import pytest

from pipeline.extraction import child
from pipeline.extraction import ffmpeg as extraction
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.outcome import Extracted, NoFrames
from pipeline.extraction.tar_writer import TarWriter
from tests.support import corpus
from tests.support.corpus import FFMPEG, ffmpeg

CONFIG = ExtractConfig(fps=30, short_side=64, jpeg_qscale=2, timeout_seconds=60, shards=1)
OTHERS = ("no_video.mp4", "cut.mp4", "tall.mp4", "gray.avi", "two.mkv", "cover.mp4", "still.mp4")
RUNS = dict.fromkeys(
    ("rotated.mov", "sound_only.mp4", "no_video.mp4", "tall.mp4", "gray.avi", "two.mkv", "hevc.mkv", "odd_size.mkv"), 3
)
"""Runs of FFmpeg, where that is not the one of a plain file; hevc.mkv and odd_size.mkv are RGB. The third is that with
the right filters, or a longer look at why there is no video."""


@pytest.fixture(scope="module")
def videos(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded clips, and files of which the first look decides."""
    folder = tmp_path_factory.mktemp("plain") / "videos"
    shutil.copytree(clips, folder)
    (folder / "no_video.mp4").write_bytes(b"no video" * 100)
    ffmpeg(["-i", str(clips / "h264.mp4"), "-c", "copy", "-movflags", "+faststart", str(folder / "whole.mp4")])
    content = (folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) * 9 // 10])
    tall = ["-f", "lavfi", "-i", "color=red:s=96x1100:d=0.1", "-pix_fmt", "yuv420p"]
    ffmpeg([*tall, str(folder / "tall.mp4")])
    ffmpeg(["-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-pix_fmt", "gray", "-c:v", "ffv1", str(folder / "gray.avi")])
    two = ["-i", str(clips / "short.mp4"), "-i", str(clips / "h264.mp4"), "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg([*two, str(folder / "two.mkv")])
    ffmpeg(["-i", str(clips / "short.mp4"), "-frames:v", "1", str(folder / "picture.png")])
    cover = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic"]
    ffmpeg(["-i", str(clips / "short.mp4"), "-i", str(folder / "picture.png"), *cover, str(folder / "cover.mp4")])
    ffmpeg(["-i", str(clips / "short.mp4"), "-frames:v", "1", "-pix_fmt", "yuv420p", str(folder / "still.mp4")])
    return folder


def outcome(video: Path, folder: Path) -> tuple[Extracted | tuple[str, str, bool], dict[str, bytes]]:
    """What came of a video, and the frames."""
    folder.mkdir()
    try:
        found = extraction.extract_frames(video, folder, CONFIG, FFMPEG)
    except NoFrames as refused:
        return (refused.reason, str(refused), refused.again), {}
    return found, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", [*corpus.CLIPS, corpus.ROTATED, *OTHERS])
def test_the_outcome_is_that_of_a_look_before(videos: Path, tmp_path: Path, monkeypatch, name: str):
    runs, popen = [], child.subprocess.Popen
    monkeypatch.setattr(child.subprocess, "Popen", lambda call, **how: (runs.append(call), popen(call, **how))[1])
    found = outcome(videos / name, tmp_path / "found")
    if name in RUNS or name in corpus.CLIPS:
        assert len(runs) == RUNS.get(name, 1)

    def never(*_: object) -> None:
        raise extraction._NotPlain

    monkeypatch.setattr(extraction, "_plain", never)
    assert outcome(videos / name, tmp_path / "expected") == found


def test_a_tar_has_the_bytes_that_pythons_own_writer_gives(tmp_path: Path):
    names = ["a/000000.jpg", f"{'ü' * 100}/{'x' * 200}.mp4/000001.jpg", "z/000002.jpg", "empty"]
    contents = [b"x" * 1000, b"y" * 512, b"z" * 100_000, b""]
    for name, content in zip(names, contents, strict=True):
        (tmp_path / "file").write_bytes(content)
        with tarfile.open(tmp_path / "expected.tar", "a", format=tarfile.PAX_FORMAT) as tar:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            with (tmp_path / "file").open("rb") as file:
                tar.addfile(entry, file)
    with TarWriter(tmp_path / "found.tar") as writer:
        for name, content in zip(names, contents, strict=True):
            writer.add(name, content)

    expected = (tmp_path / "expected.tar").read_bytes()
    assert (tmp_path / "found.tar").read_bytes() == expected
    assert writer.sha256 == hashlib.sha256(expected).hexdigest()
