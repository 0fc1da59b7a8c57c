"""The benchmarks of one table each run at their smallest size, and print what they say they measure."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import moving
from tests.support.corpus import FFMPEG

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROWS = {
    "allocator.py": ["| given back", "| kept"],
    "ensemble.py": ["uniform probability", "fitted probability", "best best"],
    "metric.py": ["pipeline.metrics.sample_map", "label_ranking_average_precision_score", "average_precision_score"],
    "near_doubles.py": ["decoding", "every outline", "1,000 of"],
    "serve.py": ["| a second of video", "18 uploads by 4 clients", "| threads"],
    "threads.py": ["machine idle", "one other process"],
    "ui.py": ["| all videos", "| name contains", "| one video"],
}
"""Script -> how lines begin that hold figures."""
LONG = ("allocator.py", "serve.py", "threads.py")
"""Those that start many processes or a server; the quarter of a minute that each takes is the night's."""


def run(script: str, *arguments: object) -> list[str]:
    """The lines that a benchmark prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "benchmarks" / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "script", [pytest.param(name, marks=pytest.mark.nightly if name in LONG else ()) for name in ROWS]
)
def test_every_row_has_its_figures(script: str):
    printed = run(script, "--smoke")
    for row in ROWS[script]:
        [line] = [line for line in printed if line.startswith(row)]
        figures = [float(number) for number in re.findall(r"\d+\.?\d*", line.removeprefix(row))]
        assert len(figures) >= 2
        assert max(figures) > 0


@pytest.mark.nightly
def test_a_file_that_is_no_video_does_not_end_the_search_for_copies(tmp_path: Path):
    for number in range(2):
        raw = f"-f rawvideo -pix_fmt rgb24 -s {moving.WIDTH}x{moving.HEIGHT} -r 30 -i -"
        call = [FFMPEG, "-v", "error", *raw.split(), "-pix_fmt", "yuv420p", tmp_path / f"{number}.mp4"]
        subprocess.run(call, input=moving.clip(number, 90).tobytes(), check=True)
    (tmp_path / "notes.mp4").write_text("no video")
    printed = run("near_doubles.py", "--rates", tmp_path)
    assert f"{tmp_path / 'notes.mp4'} is left out, as FFmpeg does not read it" in printed
    [line] = [line for line in printed if line.startswith("CRF 35")]
    assert line.split()[2:] == ["100%"] * 4
