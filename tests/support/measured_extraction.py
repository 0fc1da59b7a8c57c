"""An extraction, and how much memory its FFmpeg took at most.

FFmpeg runs in a wrapper, since the peak of a child is at least what the process that starts it has in memory. The
wrapper takes FFmpeg along when it is killed.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from pipeline.extraction.outcome import NoFrames
from tests.support.corpus import FFMPEG
from tests.support.odd_files import FRAMES

CONFIG = ExtractConfig(fps=30, short_side=320, jpeg_qscale=2, timeout_seconds=60, shards=1)
MOST_MEMORY = 300
"""Megabytes that an FFmpeg may take for any small file."""

_WRAPPER = f"""#!{sys.executable} -IS
import ctypes, os, resource, signal, subprocess, sys
wrapper = os.getpid()
def die_with_me():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != wrapper:  # it was killed before
        os._exit(1)
code = subprocess.call([{FFMPEG!r}, *sys.argv[1:]], close_fds=False, preexec_fn=die_with_me)
with open({{kept!r}}, "a") as file:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=file)
sys.exit(code % 256)
"""


class Outcome(NamedTuple):
    """What came of a file."""

    reason: str
    """`FRAMES`, or the reason in broken.tsv."""
    frames: int
    words: str
    megabytes: int
    """The most that an FFmpeg had in memory; 0 where none ran."""


def wrapper(folder: Path) -> Path:
    """An FFmpeg that adds its peak in KiB to the file `kept` in the same folder."""
    binary = folder / "ffmpeg"
    binary.write_text(_WRAPPER.format(kept=str(folder / "kept")))
    binary.chmod(0o755)
    return binary


def outcome(video: Path, folder: Path) -> Outcome:
    """Extract a video into `folder`/frames; `folder` must be empty but for it."""
    (folder / "frames").mkdir()
    (folder / "kept").write_text("0\n")
    reason, frames = FRAMES, 0
    try:
        extracted = extract_frames(video, folder / "frames", CONFIG, str(wrapper(folder)))
        frames, words = extracted.frames, extracted.words
    except NoFrames as refused:
        reason, words = refused.reason, str(refused)
    most = max(map(int, (folder / "kept").read_text().split()))
    return Outcome(reason, frames, words, most * 1024 // 1_000_000)
