"""The benchmark of loading works at its smallest size, with or without the other readers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "loading.py"


@pytest.mark.slow
def test_loading_prints_every_reader_beside_ours_and_the_limit():
    command = [sys.executable, SCRIPT, "--smoke"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment)

    tables = done.stdout.strip().split("\n\n")
    assert len(tables) == 3
    for table in tables:
        title, _, _, *rows = table.splitlines()
        assert " -> " in title
        times = {cells[1].strip(): float(cells[2]) for row in rows if (cells := row.split("|"))[1:]}
        assert {"limit", "ours", "Pillow folder"} <= times.keys()
        assert min(times.values()) > 0
        for name in ("decord", "torchcodec", "av"):
            told = f"{name} is not installed: pip install -e '.[bench]'" in rows
            assert told == (importlib.util.find_spec(name) is None)
            assert told != (name in times)
