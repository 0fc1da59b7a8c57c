"""Every odd or broken file ends in frames or in the ledger, for the right reason and in bounded memory."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import NoFrames
from tests.support.corpus import FFMPEG
from tests.support.odd_files import FRAMES, KINDS, record

CONFIG = ExtractConfig(fps=30, short_side=320, jpeg_qscale=2, timeout_seconds=60, shards=1)
MOST_MEMORY = 300
"""Megabytes of an FFmpeg."""
MEASURED = f"""#!{sys.executable} -IS
import resource, subprocess, sys
code = subprocess.call([{FFMPEG!r}, *sys.argv[1:]], close_fds=False)
with open({{kept!r}}, "a") as file:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=file)
sys.exit(code % 256)
"""


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    record(folder)
    return folder


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[[Path], tuple[str, int, int]]:
    """What comes of a file: FRAMES or the reason, the number of frames, and the megabytes that FFmpeg took at most."""
    binary, kept = tmp_path / "ffmpeg", tmp_path / "kept"
    binary.write_text(MEASURED.format(kept=str(kept)))
    binary.chmod(0o755)
    kept.write_text("0\n")

    def extracted(video: Path) -> tuple[str, int, int]:
        (tmp_path / "frames").mkdir()
        frames = 0
        try:
            frames = extract_frames(video, tmp_path / "frames", CONFIG, str(binary)).frames
            reason = FRAMES
        except NoFrames as refused:
            reason = refused.reason
        return reason, frames, max(map(int, kept.read_text().split())) // 1000

    return extracted


def test_there_are_a_hundred_kinds():
    assert len(KINDS) >= 100


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_an_odd_file_ends_in_frames_or_the_right_reason(
    healthy: Path, tmp_path: Path, outcome: Callable[[Path], tuple[str, int, int]], name: str
):
    kind = KINDS[name]
    kind.make(healthy, tmp_path / name)

    reason, frames, memory = outcome(tmp_path / name)
    assert reason in kind.outcome.split()
    if kind.frames is not None:
        assert abs(frames - kind.frames) <= 2
    assert memory < MOST_MEMORY
