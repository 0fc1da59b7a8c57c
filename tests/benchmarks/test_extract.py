"""The benchmark of the extraction runs, and every way of it does its work."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_extraction_is_measured_against_bare_ffmpeg_and_its_parts(tmp_path):
    options = ["--clips", "3", "--seconds", "0.2", "--rounds", "1", "--folder", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "benchmarks/extract.py", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [row[0].strip() for row in rows[:2]] == ["bare FFmpeg", "extract"]
    assert all(float(cell.strip(" %")) > 0 for row in rows for cell in row[1:])
    assert rows[0][4].strip() == "100.0%"
    assert not list(tmp_path.iterdir())
