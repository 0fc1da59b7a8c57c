"""Checkpoints of this project (pipeline/runtime/checkpoint.py)."""

from typing import Any

from pipeline.core.errors import UserError
from pipeline.layers.normalize import read_spec
from pipeline.pretrained.importers import Translation
from pipeline.pretrained.weight_file import Weights

KEY = "pipeline"
"""Entry of the metadata that holds recipe, class names and input."""
SHAPELESS: dict[str, dict[str, Any]] = {
    "slowfast": {"alpha": 4, "slow_frames": "strided"},
    "tsm": {"shift_div": 8},
    "r2plus1d": {"max_pooling": False},
    "ast": {"mels": 128, "columns": 1024, "frequency_stride": 10, "time_stride": 10, "heads": 12},
    "videomae": {"frames": 16, "size": 224, "heads": 12, "mean_pooling": True},
    "videoprism": {"size": 288, "heads": 12},
    "vjepa2": {"size": 256, "heads": 16},
}
"""Options that change what a network computes but none of its tensors: architecture -> option -> default."""


def recognises(weights: Weights) -> bool:
    """Whether the metadata holds a recipe and an input."""
    told = weights.metadata.get(KEY)
    return isinstance(told, dict) and all(isinstance(told.get(part), dict) for part in ("recipe", "input"))


def translate(weights: Weights) -> Translation:
    """Take the tensors as they are."""
    told: dict[str, Any] = weights.metadata[KEY]
    try:
        spec = read_spec(told["input"])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"The file's metadata says nothing of its input that makes sense ({error!r}).") from error
    recipe = told["recipe"]
    silent = SHAPELESS.get(recipe.get("arch", ""), {})
    options = recipe.get("options", {})
    needs = {key: options.get(key, silent[key]) for key in silent}
    named = told.get("classes")
    classes = tuple(map(str, named)) if isinstance(named, list) else ()
    licence = str(recipe.get("licence", ""))
    return Translation(dict(weights.tensors), spec, needs=needs, classes=classes, licence=licence)
