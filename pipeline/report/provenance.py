"""Provenance of a run: recipes, versions and hashes, read from the models' folders and the prediction files."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import checksums
from pipeline.core.files import RECIPE, file_hash

TOOLS = ("dvc", "imageio-ffmpeg", "numpy")
"""Packages that a run depends on and that no recipe records."""


@dataclass(frozen=True)
class Origin:
    """Origin of one member."""

    name: str
    checkpoint: str
    """SHA-256 of the network's weights; empty where the scores name none."""
    recipe: dict[str, Any]
    """Content of recipe.json; empty where the member was not trained here."""

    @property
    def device(self) -> str:
        """Devices that it was trained on, one after the other; empty where that is not known."""
        ran_on = [(machine["device"], machine["devices"]) for machine in self.recipe.get("machines", [])]
        named = (kind if count == 1 else f"{count} \N{MULTIPLICATION SIGN} {kind}" for kind, count in ran_on)
        return ", ".join(dict.fromkeys(named))

    @property
    def epoch(self) -> int | None:
        """Epoch whose weights were kept, counted from 1 as in the curves; None where that is not known."""
        found = self.recipe_value("result", "epoch")
        return None if found is None else found + 1

    def recipe_value(self, *path: str) -> Any:
        """Value in the recipe under nested keys; None where there is none."""
        found: Any = self.recipe
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


@dataclass(frozen=True)
class Provenance:
    """Origins of all members, and hashes of the files that name the videos and classes."""

    origins: tuple[Origin, ...]
    files: dict[str, str]
    """File name -> SHA-256."""

    @classmethod
    def read(cls, models: Path, checkpoints: Mapping[str, str], inputs: Sequence[Path]) -> "Provenance":
        """Read the recipes below `models` of the members that `checkpoints` names, and hash `inputs`."""
        origins = [
            Origin(member, checkpoint, _recipe(models / member / RECIPE)) for member, checkpoint in checkpoints.items()
        ]
        return cls(tuple(origins), {file.name: file_hash(file) for file in inputs})

    @property
    def versions(self) -> dict[str, list[str]]:
        """Package -> versions that the members were trained with, more than one where they differ."""
        return self._gathered("versions")

    @property
    def data(self) -> dict[str, list[str]]:
        """Part of the training data -> hashes of it, more than one where the members differ."""
        return self._gathered("data")

    @property
    def tools(self) -> dict[str, str]:
        """Package -> version that is installed now, while the page is written."""
        return {name: importlib.metadata.version(name) for name in TOOLS}

    def _gathered(self, section: str) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for origin in self.origins:
            for name, value in (origin.recipe_value(section) or {}).items():
                found.setdefault(name, set()).add(str(value))
        return {name: sorted(values) for name, values in sorted(found.items())}


def _recipe(path: Path) -> dict[str, Any]:
    return json.loads(checksums.text(path)) if path.is_file() else {}
