"""Long work in one process holds no more memory, files, threads or processes than short work."""

import json
import statistics
import subprocess
import sys

import pytest

from tests.support.stage_process import ROOT

pytestmark = pytest.mark.slow

WARM, ROUNDS = 2, 6
"""Rounds after which nothing is new, as libraries are loaded and buffers have their size; and the fewest in all."""


@pytest.mark.parametrize("seconds", [0, pytest.param(3600, marks=[pytest.mark.nightly, pytest.mark.timeout(4500)])])
def test_what_a_process_holds_stays_flat(tmp_path, clips, seconds):
    command = [sys.executable, "tests/support/soak.py", str(tmp_path), str(clips), str(seconds), str(ROUNDS)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    rounds = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    print(len(rounds), "rounds:", rounds[0], "...", rounds[-1])
    rounds = rounds[WARM:]
    third = len(rounds) // 3
    early, late = rounds[:third], rounds[-third:]
    for what in ("files", "threads", "children"):
        assert max(one[what] for one in late) <= max(one[what] for one in early), what
    grown = statistics.median(one["memory"] for one in late) - statistics.median(one["memory"] for one in early)
    assert grown < 20, f"{grown} MiB"
