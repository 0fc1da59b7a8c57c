"""Image networks of timm (huggingface/pytorch-image-models), under their own names, whatever the architecture.

timm tells the first convolution and the classifier of each of its architectures by name, and a pair of them tells
whose a file is. Encoders that learnt without classes (SigLIP, DINO) have none, and are told by the names of a vision
transformer. Where an architecture took over the names of older public weights, the file counts as of those: plain
ResNets as torchvision's, SENets as Cadene's.
"""

import re
from functools import cache

import timm
from timm.models import get_pretrained_cfg

from pipeline.layers.normalize import InputSpec
from pipeline.pretrained.importers import RESNET, Translation, rename, volumetric
from pipeline.pretrained.weight_file import ORIGIN, Weights

OTHERS = {("layer0.conv1", "last_linear")}
"""Pairs (first convolution, classifier) that count as another source's."""
ENCODER = {"patch_embed.proj.weight", "blocks.0.norm1.weight", "blocks.0.mlp.fc1.weight"}
"""Names that timm's vision transformers have in common."""


def recognises(weights: Weights) -> bool:
    """Whether a pair of names, or a vision transformer's, is timm's, and not every name is torchvision's."""
    if all(map(RESNET.fullmatch, weights.tensors)) or volumetric(weights.tensors.values()):
        return False
    return weights.tensors.keys() >= ENCODER or _classifier(weights, _pairs() - OTHERS) is not None


def translate(weights: Weights) -> Translation:
    """Translate a backbone and its classifier; the input is known for weights that timm has fetched."""
    origin = weights.metadata.get(ORIGIN, {})
    classifier = re.escape(_classifier(weights, _pairs()) or "classifier")
    tensors = rename(weights.tensors, [(rf"^{classifier}\.", "classifier."), (r"^(?!classifier\.)", "backbone.")])
    spec = InputSpec(tuple(origin["mean"]), tuple(origin["std"])) if "mean" in origin else None
    return Translation(tensors, spec, image=True, licence=str(origin.get("licence", "")))


def _classifier(weights: Weights, pairs: set[tuple[str, str]]) -> str | None:
    """Name of the classifier, if the file has one of the pairs."""
    found = (last for first, last in pairs if {f"{first}.weight", f"{last}.weight"} <= weights.tensors.keys())
    return max(found, key=len, default=None)


@cache
def _pairs() -> set[tuple[str, str]]:
    """Pairs (first convolution, classifier) of all architectures that have one of each."""
    configs = [get_pretrained_cfg(name) for name in timm.list_models(pretrained=True)]
    ends = [(config.first_conv, config.classifier) for config in configs if config is not None]
    return {(first, last) for first, last in ends if isinstance(first, str) and isinstance(last, str)}
