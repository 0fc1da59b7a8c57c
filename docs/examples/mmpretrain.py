"""Image ResNets of mmpretrain (open-mmlab/mmpretrain): torchvision's names, with a head of its own."""

from pipeline.pretrained.importers import IMAGENET, RESNET, Rules, Translation, rename
from pipeline.pretrained.weight_file import Weights

RULES: Rules = [(r"^head\.fc\.", "classifier.")]


def recognises(weights: Weights) -> bool:
    """A ResNet called `backbone` beside a head of one layer; no other source calls them so."""
    inside = (name.removeprefix("backbone.") for name in weights.tensors if not name.startswith("head.fc."))
    return "head.fc.weight" in weights.tensors and all(map(RESNET.fullmatch, inside))


def translate(weights: Weights) -> Translation:
    """A backbone, which has the names of this project already, and its classifier."""
    return Translation(rename(weights.tensors, RULES), IMAGENET, image=True)
