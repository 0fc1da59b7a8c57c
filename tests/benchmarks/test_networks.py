"""The benchmarks of networks and of layers work at their smallest size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly  # each takes a quarter of a minute

ROOT = Path(__file__).parents[2]


def rows(script: str) -> dict[str, list[float]]:
    """The first word or words of each line that it prints -> the numbers behind them."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "benchmarks" / script, "--smoke"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment)
    width = 28 if script == "networks.py" else 24
    lines = [line for line in done.stdout.splitlines() if not line[width:].strip().startswith(("GMACs", "ms"))]
    return {line[:width].strip(): [float(word) for word in line[width:].split()] for line in lines}


def test_networks_stand_beside_those_of_the_libraries():
    found = rows("networks.py")
    assert list(found) == ["resnet50 (timm)", "tsn", "r3d_18 (torchvision)", "r3d"]
    assert found["tsn"][0] == pytest.approx(found["resnet50 (timm)"][0], abs=0.01), "the classifier apart, as much work"
    assert all(min(numbers) > 0 for numbers in found.values())
    assert found["resnet50 (timm)"][-1] == found["r3d_18 (torchvision)"][-1] == 1


def test_layers_are_counted_in_copies_of_their_tensor():
    found = rows("temporal_layers.py")
    assert found["copy"][1:] == [1, 0]
    assert {"tsn", "tsm", "tin", "shift", "shift, plain", "interlace", "interlace, plain"} <= found.keys()
    assert all(min(numbers[:2]) > 0 for numbers in found.values())
