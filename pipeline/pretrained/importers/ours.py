"""Checkpoints of this project (pipeline/runtime/checkpoint.py)."""

from typing import Any

from pipeline.core.errors import UserError
from pipeline.layers.backbone import distinguishing
from pipeline.layers.normalize import read_spec
from pipeline.pretrained.importers import Translation
from pipeline.pretrained.infer_config import ENCODERS
from pipeline.pretrained.weight_file import Weights

KEY = "pipeline"
"""Entry of the metadata that holds recipe, class names and input."""
IMAGES: dict[str, Any] = {"backbone": "resnet50", "backbone_options": None}
SHAPELESS: dict[str, dict[str, Any]] = {
    "tsn": IMAGES,
    "trn": IMAGES,
    "tin": IMAGES,
    "tsm": {**IMAGES, "shift_div": 8},
    "probe": {**IMAGES, "rows": 3, "columns": 4},
    "encoder": {**IMAGES, "backbone": "vit_base_patch16_siglip_224.v2_webli", "rows": 0, "columns": 0, "heads": 4},
    "audio_cnn": {**IMAGES, "backbone": "resnet18", "pool_time": 1},
    "slowfast": {"alpha": 4, "slow_frames": "strided"},
    "r2plus1d": {"max_pooling": False},
    "swin3d": {"window": [8, 7, 7]},
    "ast": {"mels": 128, "columns": 1024, "frequency_stride": 10, "time_stride": 10, "heads": 12},
    "videomae": {"frames": 16, "size": 224, "heads": 12, "mean_pooling": True},
    "videoprism": {"size": 288, "heads": 12},
    "vjepa2": {"size": 256, "heads": 16},
    "videoprism_probe": {"size": 288, "heads": 12, "moments": 8, "rows": 2, "columns": 2, "pool_heads": 4},
    "vjepa2_probe": {"size": 256, "heads": 16, "moments": 8, "rows": 2, "columns": 2, "pool_heads": 4},
}
"""Options that change what a network computes but none of its tensors: architecture -> option -> default. A module of
the network has an attribute of the option's name, or `built_with` has it, see `build_backbone`."""


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
    if "backbone" in needs:
        needs |= distinguishing(needs["backbone"], needs["backbone_options"] or {})
    named = told.get("classes")
    classes = tuple(map(str, named)) if isinstance(named, list) else ()
    licence = str(recipe.get("licence", ""))
    encoder = "backbone.encoder." if recipe.get("arch") in ENCODERS else "backbone."
    return Translation(dict(weights.tensors), spec, needs=needs, classes=classes, licence=licence, encoder=encoder)
