"""What made a run: recipes, versions and hashes, as the checkpoints and prediction files tell them."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files import file_hash

TOOLS = ("dvc", "imageio-ffmpeg", "numpy")
"""Packages that no recipe records, and which the rest of a run stands on."""
_RECIPE = "recipe.json"


@dataclass(frozen=True)
class Origin:
    """What made one member."""

    name: str
    checkpoint: str
    """SHA-256 of the weights; empty where the scores say nothing of any."""
    recipe: dict[str, Any]
    """Empty where the member was not trained here."""

    @property
    def device(self) -> str:
        """What it was trained on, one after the other; empty where that is not known."""
        ran_on = [(machine["device"], machine["devices"]) for machine in self.recipe.get("machines", [])]
        named = (kind if count == 1 else f"{count} \N{MULTIPLICATION SIGN} {kind}" for kind, count in ran_on)
        return ", ".join(dict.fromkeys(named))

    @property
    def epoch(self) -> int | None:
        """The epoch that was kept, counted from 1 as the curves do; None where that is not known."""
        found = self.of("result", "epoch")
        return None if found is None else found + 1

    def of(self, *path: str) -> Any:
        """A value of the recipe by its path, or None."""
        found: Any = self.recipe
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


@dataclass(frozen=True)
class Provenance:
    """What made all members, and the files that say which videos and classes."""

    origins: tuple[Origin, ...]
    files: dict[str, str]
    """File name -> SHA-256."""

    @classmethod
    def read(cls, models: Path, checkpoints: Mapping[str, str], inputs: Sequence[Path]) -> "Provenance":
        """Read the recipes below `models` of the members that `checkpoints` names, and hash `inputs`."""
        origins = [
            Origin(member, checkpoint, _recipe(models / member / _RECIPE)) for member, checkpoint in checkpoints.items()
        ]
        return cls(tuple(origins), {file.name: file_hash(file) for file in inputs})

    @property
    def versions(self) -> dict[str, list[str]]:
        """Package -> the versions that the members were trained with, more than one where they differ."""
        return self._gathered("versions")

    @property
    def data(self) -> dict[str, list[str]]:
        """Part of the training data -> its hashes, more than one where the members differ."""
        return self._gathered("data")

    @property
    def tools(self) -> dict[str, str]:
        """Package -> the version that is installed now, while the page is written."""
        return {name: importlib.metadata.version(name) for name in TOOLS}

    def _gathered(self, section: str) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for origin in self.origins:
            for name, value in (origin.of(section) or {}).items():
                found.setdefault(name, set()).add(str(value))
        return {name: sorted(values) for name, values in sorted(found.items())}


def _recipe(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
