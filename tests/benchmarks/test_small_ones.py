"""The benchmarks of one table each run at their smallest size, and print what they say they measure."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROWS = {
    "allocator.py": ["| given back", "| kept"],
    "ensemble.py": ["uniform probability", "fitted probability", "best best"],
    "metric.py": ["pipeline.metrics.sample_map", "label_ranking_average_precision_score", "average_precision_score"],
    "near_doubles.py": ["decoding", "every outline", "1,000 of"],
    "threads.py": ["machine idle", "one other process"],
    "ui.py": ["| all videos", "| name contains", "| one video"],
}
"""Script -> how lines begin that hold figures."""
LONG = ("allocator.py", "threads.py")
"""Those that start many processes; the quarter of a minute that each takes is the night's."""


@pytest.mark.parametrize(
    "script", [pytest.param(name, marks=pytest.mark.nightly if name in LONG else ()) for name in ROWS]
)
def test_every_row_has_its_figures(script: str):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "benchmarks" / script, "--smoke"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    for row in ROWS[script]:
        [line] = [line for line in done.stdout.splitlines() if line.startswith(row)]
        figures = [float(number) for number in re.findall(r"\d+\.?\d*", line.removeprefix(row))]
        assert len(figures) >= 2
        assert max(figures) > 0
