"""What unfinished work depends on: every file that computes, and the versions of what it stands on."""

import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.runtime import fingerprint

ROOT = Path(__file__).parents[2]


def test_a_folder_counts_with_all_its_files_and_a_file_with_its_bytes():
    found = fingerprint.code("layers", "models/tsn.py")
    assert set(found) == {f"layers/{file.name}" for file in (ROOT / "pipeline/layers").glob("*.py")} | {"models/tsn.py"}
    for name in ("layers/shift.py", "models/tsn.py"):
        assert found[name] == hashlib.sha256((ROOT / "pipeline" / name).read_bytes()).hexdigest(), name


def test_folders_within_folders_count():
    assert "pretrained/importers/tsm.py" in fingerprint.code("pretrained")


@pytest.mark.slow
def test_what_a_process_has_imported_does_not_count():
    """Here is what a process has that imported more than one that has just begun."""
    registry.find("models", "slowfast")
    script = "from pipeline.runtime import fingerprint; print(fingerprint.code('core', 'layers'))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{fingerprint.code('core', 'layers')}\n"


@pytest.mark.parametrize("name", ["models/tsnn.py", "layer"])
def test_what_is_not_there_is_an_error(name):
    with pytest.raises(UserError, match=name):
        fingerprint.code("core", name)


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm", "numpy", "simplejpeg"])
def test_the_versions_are_those_that_are_installed(library):
    assert fingerprint.versions("tsn")[library].split("+")[0] == importlib.metadata.version(library).split("+")[0]


def test_another_build_of_pytorch_is_another_version(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.0.0+other")
    assert fingerprint.versions("tsn")["torch"] == "2.0.0+other"


@pytest.mark.parametrize("arch", ["ast", "videomae", "videoprism", "vjepa2", "videoprism_probe", "vjepa2_probe"])
def test_what_an_architecture_alone_needs_is_named_for_it(arch, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 7")
    assert fingerprint.versions(arch) == fingerprint.versions("tsn") | {"transformers": "transformers 7"}
