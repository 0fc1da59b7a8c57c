"""What unfinished work depends on: every file that computes, and the versions of what it stands on."""

import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline import code

ROOT = Path(__file__).parents[1]


def test_files_that_compute_count_with_their_bytes():
    import pipeline.inference
    import pipeline.losses.bce  # noqa: F401 - another open set

    found = code.files("tsn")
    for name in ("inference.py", "clips.py", "layers/shift.py", "models/tsn.py", "losses/bce.py"):
        assert found[name] == hashlib.sha256((ROOT / "pipeline" / name).read_bytes()).hexdigest(), name


def test_files_that_talk_do_not_count():
    import pipeline.compose
    import pipeline.training  # noqa: F401 - both bring all of them

    talk = {"curves.py", "compose.py", "errors.py", "interruption.py", "stopwatch.py"}
    assert talk == {Path(sys.modules[f"pipeline.{Path(name).stem}"].__file__).name for name in talk}
    assert not talk & code.files("tsn").keys()


def test_of_models_only_the_own_one_counts_whichever_are_loaded():
    def keys(*imports: str) -> str:
        script = f"{''.join(f'import {name};' for name in imports)} from pipeline import code; print(code.files('tsn'))"
        return subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    alone = keys("pipeline.inference")
    assert "'models/tsn.py'" in alone
    assert alone == keys("pipeline.inference", "pipeline.models.slowfast", "pipeline.models.tsn")
    assert code.files("tin").keys() - code.files("tsn").keys() == {"models/tin.py"}


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm", "numpy", "simplejpeg"])
def test_the_versions_are_those_that_are_installed(library):
    assert code.versions()[library].split("+")[0] == importlib.metadata.version(library).split("+")[0]


def test_another_build_of_pytorch_is_another_version(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.0.0+other")
    assert code.versions()["torch"] == "2.0.0+other"
