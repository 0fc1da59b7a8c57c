"""What made a run: recipes, versions and hashes, as the checkpoints and prediction files tell them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import work

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
    def text(self) -> str:
        """The whole recipe."""
        return json.dumps(self.recipe, indent=2, ensure_ascii=False)

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
    def read(cls, models: Path, checkpoints: Mapping[str, str], files: Sequence[Path]) -> "Provenance":
        """Read the recipes below `models` of the members that `checkpoints` names, and hash `files`."""
        origins = [
            Origin(member, checkpoint, _recipe(models / member / _RECIPE)) for member, checkpoint in checkpoints.items()
        ]
        return cls(tuple(origins), {file.name: work.file_hash(file) for file in files})

    @property
    def versions(self) -> dict[str, list[str]]:
        """Package -> the versions that the members were trained with, more than one where they differ."""
        return self._gathered("versions")

    @property
    def data(self) -> dict[str, list[str]]:
        """Part of the training data -> its hashes, more than one where the members differ."""
        return self._gathered("data")

    def _gathered(self, section: str) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for origin in self.origins:
            for name, value in (origin.of(section) or {}).items():
                found.setdefault(name, set()).add(str(value))
        return {name: sorted(values) for name, values in sorted(found.items())}


def _recipe(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
