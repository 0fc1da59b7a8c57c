"""What computes: the code of this project that a process runs, and the libraries beneath it.

What is unfinished lies under the fingerprint of both, so that no other code or version ever goes on from it.
"""

import importlib.metadata
import sys
from pathlib import Path

import torch

import pipeline
from pipeline import work

TALK = {f"{name}.py" for name in ("curves", "compose", "errors", "interruption", "stopwatch")}
"""Files that compute nothing: a change of them lets a run go on."""
LIBRARIES = ("torchvision", "timm", "numpy", "simplejpeg")
"""Besides PyTorch: they touch pixels or weights."""


def files(arch: str) -> dict[str, str]:
    """The hashes of the files that this process runs for a model of architecture `arch`.

    They do not depend on which other models it runs: all layers count, and of the models this one.
    """
    root = Path(pipeline.__file__).parent
    modules = [module for name, module in sys.modules.items() if name.startswith("pipeline.")]
    loaded = {Path(module.__file__) for module in modules if module.__file__}
    kept = {file for file in loaded if file.parent != root / "models"}
    kept |= {*root.glob("layers/*.py"), root / "models" / f"{arch}.py"}
    names = {file.relative_to(root).as_posix(): file for file in kept}
    return {name: work.file_hash(names[name]) for name in sorted(names.keys() - TALK)}


def versions() -> dict[str, str]:
    """Library -> its version."""
    return {"torch": torch.__version__} | {name: importlib.metadata.version(name) for name in LIBRARIES}
