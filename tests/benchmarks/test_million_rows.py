"""The benchmark of a million rows runs, at a small size, and its figures are those of the process that it measures."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("million_rows")


def test_the_peak_is_that_of_the_step_and_not_of_who_measures(tmp_path):
    code = "import sys, pathlib, million_rows as m; print(m.measure(pathlib.Path(sys.argv[1]), ['-c', sys.argv[2]]))"
    for step, least, most in (("print('> done')", 0, 0.05), ("a = b'1' * (300 << 20); print('> done')", 0.29, 0.35)):
        command = [sys.executable, "-c", code, tmp_path, step]
        said = subprocess.check_output(command, encoding="utf-8", cwd=FOLDER).strip().split(" | ")
        assert least <= float(said[2]) <= most
        assert said[3] == "done"


def test_the_cpu_of_a_step_counts_its_children(script, tmp_path):
    busy = "import time\nwhile time.process_time() < 1: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    assert float(script.measure(tmp_path, ["-c", code]).split(" | ")[1]) >= 1


def test_a_step_that_fails_is_told_with_its_words(script, tmp_path):
    with pytest.raises(SystemExit, match="(?s)failed:.*no such thing"):
        script.measure(tmp_path, ["-c", "raise SystemExit('no such thing')"])


@pytest.mark.nightly  # a minute: each step is a process
def test_every_step_runs_at_a_small_size(script, tmp_path):
    command = [sys.executable, FOLDER / "million_rows.py", "--rows", "2000", "--members", "2", "--scratch", tmp_path]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if "|" in line][2:]
    assert [row[0] for row in rows] == list(script.STEPS)
    assert all(float(cell) > 0 for row in rows for cell in row[1:4])
    assert list(tmp_path.iterdir()) == []  # all that it made up is gone
