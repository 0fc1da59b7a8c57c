"""Importers of other programs' checkpoints, an open set: importers/<source>.py knows one layout, and only that.

An importer's file offers two things:

    recognises(weights)    whether these Weights are of the source, by their names and container
    translate(weights)     a Translation: the same tensors under the names of this project's models

`load_pretrained` asks every importer whether it recognises a file, and exactly one must. An importer never sees the
model: whether names and shapes fit is checked afterwards, for all sources alike. This file holds what importers share.

The names of this project, for which an importer translates:

    classifier                 whatever has one row a class, in every model, and nothing else
    tsn, trn, tsm, tin         backbone.<timm's name>; a convolution with a temporal module in front of it is
                               <its name>.conv beside <its name>.temporal, a wrapped block is <its name>.block
                               beside .temporal or .non_local
    probe, encoder             backbone.<timm's name>
    slow, fast, r3d, r2plus1d  backbone.<torchvision's name>
    mvit, swin3d, s3d          backbone.<torchvision's name>
    videoprism, vjepa2         backbone.encoder.<transformers' name>, and backbone.head in front of the classifier
    videoprism_probe, vjepa2_probe  backbone.encoder.<transformers' name>
    videomae, ast              backbone.network.<transformers' name>, and backbone.norm in front of the classifier
    slowfast                   slow.<torchvision's name>, fast.<torchvision's name>, laterals.<0..3>.<conv, bn>
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from pipeline.core.errors import UserError
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.normalize import InputSpec
from pipeline.pretrained.weight_file import Weights

IMAGENET = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
FACEBOOK = InputSpec(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
"""Input of the weights of PySlowFast and pytorchvideo."""
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Renaming rules: pairs (pattern, replacement) of re.sub, applied one after another."""

RESNET = re.compile(r"(conv1|bn1|layer[1-4]\.\d+\.((conv|bn)[1-3]|downsample\.[01])|fc)\.\w+")
"""Pattern of the names in torchvision's ResNets, which 3D ones have taken over."""
BACKBONE: Rules = [(r"^fc\.", "classifier."), (r"^(?!classifier\.)", "backbone.")]
"""Rules for a whole ResNet: all but its last layer is the backbone."""
TSN: Rules = [
    (r"^base_model\.fc\.|^new_fc\.", "classifier."),  # fc where it was trained without dropout
    (r"^base_model\.", "backbone."),
    (r"(\.layer\d\.\d+)\.net\.", r"\1.block."),  # shifted as a whole
    (r"\.net1\.biasnet\.net\.conv\.", ".temporal.offset_net.conv."),
    (r"\.net1\.biasnet\.net\.fc\.", ".temporal.offset_net.hidden."),
    (r"\.net1\.biasnet\.net\.lastlayer\.", ".temporal.offset_net.out."),
    (r"\.net1\.weightnet\.net\.lastlayer\.", ".temporal.weight_net."),
    (r"\.conv1\.net2?\.", ".conv1.conv."),
    (r"\.nl\.(theta|phi|g)\.(0\.)?", r".non_local.\1."),  # .0 where a pooling follows
    (r"\.nl\.W\.0\.", ".non_local.out."),
    (r"\.nl\.W\.1\.", ".non_local.bn."),
]
"""Rules for the 2D networks of TSN's descendants: TRN, TSM, TIN and X-Temporal share one class."""


@dataclass(frozen=True)
class Translation:
    """Checkpoint under this project's names."""

    tensors: dict[str, Tensor]
    input: InputSpec | MelSpec | None
    """Input that the weights expect; None where neither the source nor the file tells."""
    image: bool = False
    """Whether the tensors are an image network's, which has no layers that look along time."""
    needs: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model that the weights were trained with and that no tensor shows: name -> value."""
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of the classifier's rows; empty where the file does not tell."""
    fresh: tuple[str, ...] = ()
    """Beginnings of names of the model that the file need not have: what is missing of them starts fresh."""
    unused: tuple[str, ...] = ()
    """Entries of the file that no model here has, as they served the pretraining alone."""
    encoder: str = ""
    """Beginning of the names of its encoder, where models with another head take that alone."""
    licence: str = ""
    """Licence of the weights, as the source states it; empty where it states none."""

    def encoder_alone(self) -> "Translation":
        """The same without the head, for a frozen network: its own stays at its start."""
        encoder = {name: tensor for name, tensor in self.tensors.items() if name.startswith(self.encoder)}
        unused = (*self.unused, *sorted(self.tensors.keys() - encoder.keys()))
        return replace(self, tensors=encoder, classes=(), fresh=("pool.", "classifier."), unused=unused)


def rename(tensors: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Rename the tensors by `rules`.

    Raises:
        UserError: two of them would have the same name.
    """
    renamed: dict[str, Tensor] = {}
    for old, tensor in tensors.items():
        new = old
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise UserError(f"{old!r} and another entry of the file both are {new!r} here. Keep the one that is meant.")
        renamed[new] = tensor
    return renamed


def descendant_of_tsn(weights: Weights) -> str | None:
    """Name of the importer for a network of TSN's class; None for any other network."""
    if not any(name.startswith("base_model.") for name in weights.tensors):
        return None
    if any(name.startswith("consensus.") for name in weights.tensors):
        return "trn"
    return "tsm" if weights.parallel and weights.container == "state_dict" else "x_temporal"


def translate_tsn(weights: Weights, rules: Rules = ()) -> Translation:
    """Translate a 2D network of TSN's descendants; `rules` are those of one of them, applied first.

    Raises:
        UserError: it is one that no model here can be.
    """
    if any("conv1_7x7_s2" in name for name in weights.tensors):
        raise UserError(
            "The file's backbone is BNInception, which timm does not have, so no model here can take it. Use a "
            "checkpoint with a ResNet."
        )
    if any(re.search(r"\.conv2\.net\.", name) for name in weights.tensors):
        raise UserError(
            "The file's network shifts before the second convolution of a block as well (TIN's repository does so "
            "for its TSM), which no model here does. Use a checkpoint of TSM's own repository or of X-Temporal."
        )
    return Translation(rename(weights.tensors, [*rules, *TSN]), IMAGENET)


def single_or_two_paths(tensors: Mapping[str, Tensor]) -> Translation:
    """Translate a network of PySlowFast, whose paths are called path0 (slow) and path1 (fast) so far.

    Where there is one path it is the backbone, and where a non-local block follows a residual one, this project has
    the two in one module.
    """
    two = any(name.startswith("path1.") for name in tensors)
    followed = {match[1] for name in tensors if (match := re.match(r"(path\d\.layer\d\.\d+)\.non_local\.", name))}
    rules: Rules = [
        *[(rf"^{re.escape(block)}\.(?!non_local\.)", f"{block}.block.") for block in followed],
        (r"^path0\.", "slow." if two else "backbone."),
        (r"^path1\.", "fast."),
    ]
    return Translation(rename(tensors, rules), FACEBOOK, needs={"slow_frames": "linspace"} if two else {})


def volumetric(tensors: Iterable[Tensor]) -> bool:
    """Whether any tensor is the weight of a 3D convolution that sees more than single points."""
    return any(tensor.ndim == 5 and max(tensor.shape[2:]) > 1 for tensor in tensors)
