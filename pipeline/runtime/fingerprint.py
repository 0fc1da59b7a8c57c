"""What unfinished work is kept under: the code that makes it, and the versions of the libraries beneath.

So no other code or version ever goes on from it. The code is named by package and file, as dvc.yaml does for the same
stage (a test compares the two), and does not depend on what a process has happened to import.
"""

import importlib.metadata
from pathlib import Path

import torch

import pipeline
from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.core.files import file_hash

LIBRARIES = ("torchvision", "timm", "numpy", "simplejpeg")
"""Besides PyTorch: they touch pixels or weights."""


def code(*names: str) -> dict[str, str]:
    """File of the package `pipeline` -> SHA-256 of its bytes, for the folders and files in `names`.

    Raises:
        UserError: there is no such folder or file.
    """
    root, found = Path(pipeline.__file__).parent, set()
    for name in names:
        inside = sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]
        if not inside or not inside[0].is_file():
            raise UserError(f"{root / name} does not exist.")
        found |= set(inside)
    return {file.relative_to(root).as_posix(): file_hash(file) for file in sorted(found)}


def versions(arch: str) -> dict[str, str]:
    """Library -> its version, with those that the architecture alone needs."""
    own = getattr(registry.find("models", arch), "PACKAGES", ())
    return {"torch": torch.__version__} | {name: importlib.metadata.version(name) for name in (*LIBRARIES, *own)}
