"""The benchmarks of loading and testing work at their smallest size, with or without the other readers."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly  # each takes a quarter of a minute

FOLDER = Path(__file__).parents[2] / "benchmarks"


def tables(script: str) -> list[str]:
    """What it prints at its smallest size."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, FOLDER / script, "--smoke"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment)
    return done.stdout.strip().split("\n\n")


def test_loading_prints_every_reader_beside_ours_and_the_limit():
    *found, disk = tables("loading.py")
    assert len(found) == 3
    assert re.fullmatch(r"disk: 320 pixels [0-9.]+ MB, 160 pixels [0-9.]+ MB", disk)
    for table in found:
        title, _, _, *rows = table.splitlines()
        assert " -> " in title
        times = {cells[1].strip(): float(cells[2]) for row in rows if (cells := row.split("|"))[1:]}
        assert {"limit", "ours", "Pillow folder"} <= times.keys()
        assert min(times.values()) > 0
        for name in ("decord", "torchcodec", "av"):
            told = f"{name} is not installed: pip install -e '.[bench]'" in rows
            assert told == (importlib.util.find_spec(name) is None)
            assert told != (name in times)


def test_in_testing_every_frame_is_decoded_once_and_the_parts_are_the_whole():
    [table] = tables("testing.py")
    [row] = [line.split("|")[1:-1] for line in table.splitlines()[2:]]
    name, views, decodes, seconds, *shares = (cell.strip() for cell in row)

    assert (name, views, decodes) == ("tsm_lite0", "4", "1.00")
    assert float(seconds) > 0
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=0.3)
