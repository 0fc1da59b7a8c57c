"""The benchmark for GPUs runs whole, at its smallest size, on a CPU, with nothing but the packages that it names.

So do the tests marked `gpu`, as far as a CPU can show it: pytest finds them.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REFUSED = (
    "dvc",
    "dvclive",
    "hydra",
    "omegaconf",
    "imageio_ffmpeg",
    "ffmpeg",
    "jinja2",
    "psutil",
    "argcomplete",
    "ruamel",
    "moto",
    "s3fs",
    "ray",
)
ALONE = f"""
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {REFUSED}:
            raise ImportError(name + " is not there")

sys.meta_path.insert(0, Refuse())
for name in {REFUSED}:
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(name + " is there after all")
sys.argv = sys.argv[1:]
"""
SCRIPT = f"""{ALONE}
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""
MODULE = f"{ALONE}runpy.run_module(sys.argv[0], run_name='__main__')"


@pytest.mark.slow
def test_all_of_it_runs_on_a_cpu_without_dvc_hydra_and_ffmpeg(tmp_path):
    command = [sys.executable, "-c", SCRIPT, "benchmarks/gpu.py", "--smoke", "--device", "cpu", "--out", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "gpu.json").read_text())
    assert len(rows) == len(done.stdout.splitlines())

    by_section = {row["section"]: row for row in rows}  # the last of each
    assert by_section["training"]["clips_a_second"] > 0
    assert {row["kind"] for row in rows if row["section"] == "trained tsm_demo"} == {"32", "bf16"}
    exact, coarse = (
        next(r["error"] for r in rows if r["section"] == "3D convolution" and r["kind"] == kind)
        for kind in ("32", "bf16")
    )
    assert exact < 1e-5 < coarse < 0.02
    assert all(row["most_error"] <= 2 for row in rows if row["section"].startswith("JPEGs"))
    assert all(row["most_error"] <= 1 for row in rows if row["section"].startswith("frames of"))
    assert next(row["copies"] for row in rows if row.get("layer") == "copy") == 1


@pytest.mark.slow
def test_the_tests_marked_gpu_are_found_without_naming_their_file_and_without_the_packages_of_the_others():
    command = [sys.executable, "-c", MODULE, "pytest", "-m", "gpu", "--collect-only", "-q"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), done.stdout[
        -3000:
    ]  # without a GPU, none
    (found,) = re.findall(r"(\d+) (?:deselected|tests collected)", done.stdout)
    assert int(found) > 40


def test_what_would_end_too_late_is_left_out_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from gpu_parts.report import Report

    report = Report(tmp_path, minutes=1)
    assert report.has_time("a short one", 30)
    assert not report.has_time("a long one", 90)
    assert "left out: what a long one, needs_seconds 90" in capsys.readouterr().out
    assert json.loads((tmp_path / "gpu.json").read_text())[0]["what"] == "a long one"


@pytest.mark.slow
def test_its_models_are_those_of_conf(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(ROOT)
    import gpu

    composed = gpu.composed()
    assert gpu.SETTINGS.read_text() == composed, "python benchmarks/gpu.py --compose"
    assert set(yaml.safe_load(composed)) == {"tsm_demo", *gpu.MODELS}
