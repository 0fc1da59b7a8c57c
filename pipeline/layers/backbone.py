"""2D backbones, all from timm, and the insertion of temporal modules and non-local blocks into them.

timm's networks carry the names and shapes of their public ImageNet weights (`layer1.0.conv1.weight`).
`insert_temporal` and `insert_non_local` add one word to the names of the layers that they wrap, see there.
"""

import difflib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import timm
from torch import nn

from pipeline.layers.non_local import NonLocal, append_non_local

STAGES = ("layer1", "layer2", "layer3", "layer4")
FIRST_LAYERS = ("conv_pw", "conv_exp", "conv_dw", "conv")
"""First layers of timm's blocks in MobileNets and EfficientNets; the first two of them widen the block's input."""
PLACES = ("blockres", "block")
NON_LOCAL = {"layer2": (0, 2), "layer3": (0, 2, 4)}
"""Stage -> residual blocks behind which X-Temporal and the authors of TSM have a non-local one."""
IN_TRAINING = ("drop", "dynamic_img")
"""Parts of the names of timm's options that change what is learnt, or which sizes are taken, and no feature."""
_OURS = ("pretrained", "checkpoint_path", "num_classes", "drop_rate")


def build_backbone(name: str, *, in_chans: int = 3, **backbone_options: Any) -> nn.Module:
    """Backbone: the timm network `name` without its classifier, images (N, in_chans, H, W) -> features (N, width).

    Its weights are random. Dropout before the classifier is off, also where timm has it on by default
    (SENet-154), as the head that follows has its own.

    Args:
        name: as in `timm.list_models()`.
        in_chans: channels of the images.
        backbone_options: options passed on to timm, for small or changed networks (`channels=[16, 32, 64, 128]`).
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "timm.list_models() lists what there is."
        raise ValueError(f"timm {timm.__version__} has no backbone {name!r}. {hint}")
    for key in _OURS:
        if key in backbone_options:
            raise ValueError(
                f"backbone_options of {name!r} may not set {key!r}: weights are loaded after the model is "
                f"built, and the classifier and its dropout are not part of the backbone. Remove it."
            )
    network: Any = timm.create_model(
        name, pretrained=False, num_classes=0, drop_rate=0.0, in_chans=in_chans, **backbone_options
    )
    network.built_with = distinguishing(name, backbone_options)
    return cast(nn.Module, network)


def distinguishing(name: str, backbone_options: Mapping[str, Any]) -> dict[str, Any]:
    """What tells backbones apart that have the same tensors and compute other features, as plain values.

    Returns:
        The options `backbone`, without the tag of weights, and `backbone_options`, without those of `IN_TRAINING`.
    """
    kept = {key: value for key, value in backbone_options.items() if not any(part in key for part in IN_TRAINING)}
    return {"backbone": name.partition(".")[0], "backbone_options": json.loads(json.dumps(kept, default=str))}


def feature_width(backbone: nn.Module) -> int:
    """Number of pooled features that a network of `build_backbone` gives for an image."""
    # Not `num_features`, which is before the pooling: mean and maximum side by side double the width.
    return cast(int, backbone.head_hidden_size)


def residual_stages(backbone: nn.Module) -> list[tuple[nn.Sequential, dict[int, str]]]:
    """Find where temporal modules can stand: stages, and the blocks in each that take one.

    In a ResNet these are all residual blocks. In a network of inverted residual blocks (MobileNetV2 and V3,
    EfficientNet) they are the blocks with a shortcut that begin by widening their input, as TSM's authors have it for
    MobileNetV2.

    Returns:
        For each stage its sequence of blocks, and number of a block in it -> name of the block's first convolution.

    Raises:
        ValueError: the backbone is not built like either.
    """
    stages: list[Any] = [getattr(backbone, stage, ()) for stage in STAGES]
    if all(stages):
        found = [(stage, dict.fromkeys(range(len(stage)), "conv1")) for stage in stages]
    else:
        inverted: list[Any] = list(getattr(backbone, "blocks", ()))
        if not all(_first_layer(block) in FIRST_LAYERS for stage in inverted for block in stage.children()):
            inverted = []  # of another kind, perhaps in part
        found = [(stage, {i: _first_layer(b) for i, b in enumerate(stage) if _widens(b)}) for stage in inverted]
    first_convs = [getattr(stage[index], name, None) for stage, names in found for index, name in names.items()]
    if not (first_convs and all(isinstance(conv, nn.Conv2d) for conv in first_convs)):
        raise ValueError(
            f"Backbone {_name(backbone)!r} has no place for a temporal module: it needs residual blocks that begin "
            f"with a convolution, as timm's resnet*, legacy_senet*, mobilenetv2_*, mobilenetv3_* and efficientnet_* "
            f"have. Choose one of these, or the model tsn, which takes any backbone."
        )
    return found


def insert_temporal(
    backbone: nn.Module, make: Callable[[int], nn.Module], *, place: str = "blockres", every: int = 1
) -> None:
    """Insert `make(channels)` into the residual blocks of `backbone`, which is changed in place.

    A wrapped layer's parameters gain a word: `layer1.0.conv1.weight` becomes `layer1.0.conv1.conv.weight` in
    "blockres", and `layer1.0.block.conv1.weight` in "block". The inserted module is `temporal` beside it. In a network
    of inverted residual blocks, `blocks.2.1.conv_pw.weight` becomes `blocks.2.1.conv_pw.conv.weight`.

    Args:
        backbone: a ResNet or a network of inverted residual blocks, see `residual_stages`.
        make: builds the module that fits in front of a block with so many input channels.
        place: "blockres" puts it before the first convolution, and the shortcut keeps the block's own input;
            "block" puts it before the whole block, so that it changes the shortcut as well.
        every: 2 takes, in each stage, every second block that can have one, from the first.
    """
    if place not in PLACES:
        raise ValueError(f"place={place!r} is none of {', '.join(PLACES)}.")
    if every < 1:
        raise ValueError(f"every={every}: 1 takes every block, 2 every second one.")
    for stage, first_convs in residual_stages(backbone):
        for index, name in list(first_convs.items())[::every]:
            block = cast(Any, stage[index])
            conv = getattr(block, name)
            temporal = make(conv.in_channels)
            if place == "blockres":
                setattr(block, name, nn.Sequential(OrderedDict(temporal=temporal, conv=conv)))
            else:
                stage[index] = nn.Sequential(OrderedDict(temporal=temporal, block=block))


def insert_non_local(backbone: nn.Module, frames: int) -> None:
    """Put five non-local blocks, `NON_LOCAL`, into `backbone`, which is changed in place.

    They are of the form of X-Temporal and TSM. The places are the same whatever the depth. (There, a deeper
    ResNet than that of 50 layers loses the residual blocks that ResNet-50 does not have.)

    Args:
        backbone: a ResNet, after `insert_temporal` if that is called too. See `append_non_local` for the names.
        frames: T.
    """
    if not hasattr(backbone, "layer2"):
        raise ValueError(
            f"Non-local blocks are for ResNets only, and the backbone is {_name(backbone)!r}. Set `non_local: false`, "
            "or choose a ResNet."
        )
    channels = {info["module"]: info["num_chs"] for info in cast(Any, backbone).feature_info}
    for stage, places in NON_LOCAL.items():
        append_non_local(backbone, stage, places, partial(NonLocal, channels.get(stage, 0), frames=frames))


def _first_layer(block: nn.Module) -> str:
    return next((name for name, _ in block.named_children()), "")


def _widens(block: nn.Module) -> bool:
    """Whether this is an inverted residual block with a shortcut and, first of all, an expansion."""
    return bool(getattr(block, "has_skip", False)) and _first_layer(block) in FIRST_LAYERS[:2]


def _name(backbone: nn.Module) -> str:
    return str(cast(dict[str, Any], backbone.pretrained_cfg)["architecture"])
