"""torchvision's ImageNet ResNets (pytorch/vision), and timm's plain ones, which have the same names."""

from pipeline.pretrained.importers import BACKBONE, IMAGENET, RESNET, Translation, rename, volumetric
from pipeline.pretrained.weight_file import Weights


def recognises(weights: Weights) -> bool:
    """All names are of a ResNet, with convolutions in the plane."""
    return all(map(RESNET.fullmatch, weights.tensors)) and not volumetric(weights.tensors.values())


def translate(weights: Weights) -> Translation:
    """A backbone and its classifier of 1000 classes."""
    return Translation(rename(weights.tensors, BACKBONE), IMAGENET, image=True)
