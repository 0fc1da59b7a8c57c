"""Architecture and options of a network, inferred from the names and shapes of its entries."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pipeline.layers.frame_input import KINDS

STAGES = ("layer1", "layer2", "layer3", "layer4")
BLOCK = re.compile(r"(?:slow|backbone)\.(layer\d|blocks\.\d+)\.(\d+)\.(.+)")
"""Pattern of the names in a residual block: stage, number of the block, name in it."""
WRAPPED = re.compile(r"(^|\.)(conv1|conv_pw|conv_exp)\.conv\.weight$")
"""Pattern of the first convolution of a block where a temporal module stands in front of it."""

VIDEO = {
    "mvit": "conv_proj",
    "swin3d": "patch_embed.proj",
    "s3d": "features.0.0.0",
    "videomae": "network.embeddings.patch_embeddings.projection",
    "ast": "network.embeddings.patch_embeddings.projection",
    "videoprism": "encoder.spatial_embeddings.patch_embeddings.projection",
    "vjepa2": "encoder.embeddings.patch_embeddings.proj",
}
"""Networks that torchvision or transformers has -> name of their first convolution, 3D but of the one that hears."""
ENCODERS = ("videoprism", "vjepa2")
"""Those of them whose encoder serves a probe, too."""
LAYERS = {
    "temporal": "the temporal modules",
    "non_local": "the non-local blocks",
    "projection": "the layer in front of the relations",
    "relation": "the relations between frames",
    "num_batches_tracked": "counters of the norms, which change nothing",
}
"""Component of an entry's name -> the layers that have it, in words."""


def is_classifier(name: str) -> bool:
    """Whether the entry has one row a class: `classifier` is a whole component of its name."""
    return "classifier" in name.split(".")


def classes(tensors: Mapping[str, Tensor]) -> int | None:
    """Number of classes; None without a classifier, or with several that do not agree."""
    rows = {len(tensor) for name, tensor in tensors.items() if is_classifier(name) and tensor.ndim}
    return rows.pop() if len(rows) == 1 else None


def options(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Architecture and options of the network that has these entries, as far as they show; for messages.

    Args:
        tensors: entries under this project's names; the meta device will do.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    arch = _arch(shapes)
    found: dict[str, Any] = {"arch": arch, "blocks": _blocks(shapes)}
    if arch == "slowfast":
        lateral = _first(shapes, r"^laterals\.0\.conv\.weight")
        found["width"] = _first(shapes, r"^slow\.conv1\.weight")[0]
        found["fusion_kernel"] = lateral[2] if len(lateral) == 5 else None
        found["fusion_norm"] = "laterals.0.bn.weight" in shapes
        found["head_bias"] = "classifier.bias" in shapes
    if arch == "tin":
        found["frames"] = _first(shapes, r"offset_net\.hidden\.weight")[0]
    if arch == "trn":
        found["multiscale"] = any(name.startswith("relation.scales.") for name in shapes)
        hidden, projection = (
            _first(shapes, r"^relation\.(scales\.0\.)?hidden\.weight"),
            _first(shapes, r"^projection\.weight"),
        )
        found["frames"] = hidden[1] // projection[0] if len(hidden) == 2 and projection[0] else None
    if arch in ("tsm", "tin"):
        found["every"] = _every(shapes)
    if arch == "tsm":
        found["place"] = "blockres" if any(map(WRAPPED.search, shapes)) else "block"
    for kind, looks_at in KINDS.items():
        images = [shape for shape in shapes.values() if len(shape) == 4 and shape[2] > 1]
        if kind != "rgb" and any(shape[1] == looks_at.channels for shape in images):
            found["input"] = kind
    found["non_local"] = any(".non_local." in name for name in shapes)
    return {key: value for key, value in found.items() if value not in (None, ())}


def probe_of(arch: str) -> str:
    """The architecture that is a probe of one of ENCODERS."""
    return f"{arch}_probe"


def in_words(names: Sequence[str]) -> str:
    """Layers that these entries of a model are, in words, with some of their names."""
    groups: dict[str, list[str]] = {}
    for name in names:
        kind = "the classifier" if is_classifier(name) else next(
            (words for part, words in LAYERS.items() if part in name.split(".")), "other layers"
        )  # fmt: skip
        groups.setdefault(kind, []).append(name)
    return "; ".join(
        f"{kind}: {', '.join(found[:4])}{f' and {len(found) - 4} more' if len(found) > 4 else ''}"
        for kind, found in groups.items()
    )


def describe(found: Mapping[str, Any]) -> str:
    """Text of one line for `options`, such as ``slowfast, blocks 3-4-6-3, fusion_kernel 7``."""
    parts = [
        str(value) if key == "arch" else f"{key} {show(value)}" for key, value in found.items() if value is not False
    ]
    return ", ".join(parts) or "nothing that is known here"


def show(value: Any) -> str:
    """Value of an option, about as a configuration has it."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def _first(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> tuple[int, ...] | tuple[None]:
    """Shape of the first entry whose name matches the pattern."""
    return next((shape for name, shape in shapes.items() if shape and re.search(pattern, name)), (None,))


def _arch(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    if any(name.startswith("laterals.") for name in shapes):
        return "slowfast"
    if any(name.startswith(("projection.", "relation.")) for name in shapes):
        return "trn"
    if any(name.endswith(".spatial.weight") for name in shapes):
        return "r2plus1d"
    for arch, first in VIDEO.items():
        if len(shapes.get(f"backbone.{first}.weight", ())) == (4 if arch == "ast" else 5):
            return probe_of(arch) if arch in ENCODERS and _of_probe(shapes) else arch
    stem = shapes.get("backbone.conv1.weight", ())
    if len(stem) == 5:
        within = [shape for name, shape in shapes.items() if re.search(r"layer1\.0\.(\w+\.)?conv2\.weight", name)]
        if any(shape[2] > 1 for shape in within if len(shape) == 5):
            return "r3d"
        return "slow" if stem[2] == 1 else "fast"
    if any(".temporal.offset_net." in name for name in shapes):
        return "tin"
    if any(any(blocks.values()) for blocks in _shifted(shapes).values()):
        return "tsm"
    return "tsn" if any(name.startswith("backbone.") for name in shapes) else None


def _of_probe(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a classifier stands behind an encoder without the head that its authors publish."""
    return "classifier.weight" in shapes and not any(name.startswith("backbone.head.") for name in shapes)


def _blocks(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Residual blocks of each stage; empty for what is not made of them."""
    found = {stage: len(blocks) for stage, blocks in _by_block(shapes).items()}
    stages = [f"blocks.{number}" for number in range(len(found))] if "blocks.0" in found else STAGES
    return tuple(found[stage] for stage in stages) if all(stage in found for stage in stages) else ()


def _every(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Value of `every`, by the blocks that have a temporal module: 1 all, 2 every second one, None another choice."""
    stages = [list(blocks.values()) for blocks in _shifted(shapes).values()]
    for every in (1, 2):
        if all(has == (i % every == 0) for blocks in stages for i, has in enumerate(blocks)):
            return every
    return None


def _shifted(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, dict[int, bool]]:
    """Stage -> number of a block that can have a temporal module -> whether it has one."""
    return {
        stage: {number: _has_temporal(block) for number, block in blocks.items() if _can_have_temporal(block)}
        for stage, blocks in _by_block(shapes).items()
    }


def _has_temporal(block: Mapping[str, tuple[int, ...]]) -> bool:
    return any(name.startswith("block.") or WRAPPED.search(name) for name in block)


def _can_have_temporal(block: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether it is a ResNet's block, or an inverted one that widens its input first and gives as many channels."""
    first, last = (_first(block, rf"(^|\.){name}\.(conv\.)?weight$") for name in ("(conv_pw|conv_exp)", "conv_pwl"))
    return any("conv1" in name.split(".") for name in block) or first[1:2] == last[:1]


def _by_block(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, dict[int, dict[str, tuple[int, ...]]]]:
    """Stage -> number of a residual block -> shapes by the names in it, as without a non-local block behind it."""
    found: dict[str, dict[int, dict[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        if match := BLOCK.match(name):
            found.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = shape
    for blocks in found.values():
        for number, block in blocks.items():
            if any(name.startswith("non_local.") for name in block):
                blocks[number] = {name.removeprefix("block."): shape for name, shape in block.items()}
    return found
