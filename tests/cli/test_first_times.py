"""When picture and sound begin, of files that FFmpeg was told to write so."""

from pathlib import Path

import pytest

from pipeline.cli import first_times
from pipeline.core.broken_videos import BrokenVideo
from pipeline.extraction.child import Ended
from pipeline.extraction.config import ExtractConfig
from tests.support import tiny
from tests.support.corpus import ffmpeg

CONFIG = ExtractConfig(fps=30, short_side=40, jpeg_qscale=5, timeout_seconds=60, shards=1)


def recorded(file: Path, picture: float | None, sound: float | None) -> Path:
    """A file whose picture and sound begin at some seconds; None leaves one out."""
    inputs = []
    if picture is not None:
        inputs += ["-itsoffset", f"{picture}", "-f", "lavfi", "-i", "color=red:s=40x32:r=10:d=0.4"]
    if sound is not None:
        inputs += ["-itsoffset", f"{sound}", "-f", "lavfi", "-i", "sine=f=800:r=16000:d=0.4"]
    ffmpeg([*inputs, "-c:v", "mpeg4", "-c:a", "flac", str(file)])
    return file


@pytest.mark.parametrize(("picture", "sound"), [(0, 0.5), (0.3, 0), (0, 0), (0, None), (None, 0)])
def test_they_are_on_the_clock_of_the_file(tmp_path, picture, sound):
    file = recorded(tmp_path / "it.mkv", picture, sound)
    found = first_times.of(file, CONFIG, tiny.machine(tmp_path / "work"))
    assert found == pytest.approx((picture or 0, sound or 0), abs=0.002)


def test_what_does_not_say_is_broken_and_not_taken_for_a_file_that_begins_at_once(tmp_path):
    (tmp_path / "it.mkv").write_bytes(b"no video at all " * 100)
    found = first_times.of(tmp_path / "it.mkv", CONFIG, tiny.machine(tmp_path / "work"))
    assert isinstance(found, BrokenVideo)
    assert "does not say when its picture and sound begin" in found.words


def test_a_time_next_to_nothing_as_older_ffmpegs_write_it_is_no_seconds(tmp_path, monkeypatch):
    def ended(command, opened, folder, limits, hear):
        hear(b"[Parsed_ashowinfo_0 @ 0x1] [info] n:0 pts:1 pts_time:2.08333e-05 fmt:s16 channels:1")
        hear(b"[Parsed_showinfo_0 @ 0x2] [info] n:   0 pts:  12 pts_time:1.5 duration:1 fmt:bgr0")
        return Ended(0, "")

    monkeypatch.setattr(first_times, "run", ended)
    file = recorded(tmp_path / "it.mkv", 0, 0)
    found = first_times.of(file, CONFIG, tiny.machine(tmp_path / "work"))
    assert found == (1.5, 2.08333e-05)
