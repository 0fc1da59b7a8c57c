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


PICTURE = b"n:   0 pts:     12 pts_time:1.5     duration:      1 duration_time:0.1     fmt:bgr0 cl:left sar:1/1 type:I "
SOUND = b"n:0 pts:1 pts_time:2.08333e-05 fmt:s16 channels:1 chlayout:mono rate:16000 checksum:D04D96C3 "
LATER = b"[Parsed_ashowinfo_0 @ 0x1] [info] n:10 pts:9 pts_time:0.7 fmt:s16 channels:1"


@pytest.mark.parametrize(
    "lines",
    [
        (b"[Parsed_ashowinfo_0 @ 0x1] [info] " + SOUND, LATER, b"[Parsed_showinfo_0 @ 0x2] [info] " + PICTURE),
        (b"[Parsed_showinfo_0 @ 0x2] [info] " + PICTURE + SOUND, LATER),
        (b"[Parsed_ashowinfo_0 @ 0x1] [info] " + SOUND + PICTURE, LATER),
        (b"[Parsed_showinfo_0 @ 0x2] [info] " + PICTURE, b"[info] User Data=78323634206d" + SOUND + b"207375", LATER),
    ],
    ids=["lines of their own", "sound within the picture's", "the picture within the sound's", "within a dump"],
)
def test_each_is_found_wherever_ffmpeg_writes_it_also_next_to_nothing(tmp_path, monkeypatch, lines):
    def ended(command, opened, folder, limits, hear):
        for line in lines:
            hear(line)
        return Ended(0, "")

    monkeypatch.setattr(first_times, "run", ended)
    file = recorded(tmp_path / "it.mkv", 0, 0)
    found = first_times.of(file, CONFIG, tiny.machine(tmp_path / "work"))
    assert found == (1.5, 2.08333e-05)
