"""A trained model as one safetensors file: weights, the recipe that made them, class names and input spec.

Nothing here is a pickle. All metadata sits in one JSON text, since safetensors keeps several entries in no fixed
order, and the same training must give the same bytes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec, read_spec

FILE = "model.safetensors"
_KEY = "pipeline"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, ready to be built again."""

    weights: dict[str, Tensor]
    recipe: dict[str, Any]
    """All that made the weights: arch, options, clip, train, threads, versions, hash of the data."""
    classes: tuple[str, ...]
    input: InputSpec | MelSpec

    def write(self, folder: Path) -> None:
        """Write the weights, the recipe once more as a file that people read, and the checksums of both."""
        meta = {"recipe": self.recipe, "classes": list(self.classes), "input": asdict(self.input)}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.weights.items()}
        with files.aside(folder / FILE) as partial:
            save_file(tensors, partial, {_KEY: json.dumps(meta, sort_keys=True)})
        files.write_json(folder / files.RECIPE, self.recipe)
        checksums.write(folder / checksums.NAME, [folder / FILE, folder / files.RECIPE])

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint":
        """Read what `write` wrote.

        Raises:
            UserError: there is no such file, it is damaged, or another program wrote it.
        """
        path = folder / FILE
        remedy = f"`dvc repro train@{folder.name}` makes it again."
        if not path.is_file():
            raise UserError(f"{path} does not exist. {remedy}")
        checksums.check(path)
        try:
            with safe_open(path, "pt") as file:
                meta = json.loads((file.metadata() or {})[_KEY])
            spec = read_spec(meta["input"])
            return cls(load_file(path), dict(meta["recipe"]), tuple(map(str, meta["classes"])), spec)
        except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RecursionError, OSError) as error:
            raise UserError(f"{path} is damaged or not of this pipeline ({error!r}). {remedy}") from error
