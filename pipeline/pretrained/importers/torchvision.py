"""ImageNet ResNets of torchvision (pytorch/vision), and the plain ones of timm, which have the same names."""

from pipeline.pretrained.importers import BACKBONE, IMAGENET, RESNET, Translation, rename, volumetric
from pipeline.pretrained.weight_file import Weights


def recognises(weights: Weights) -> bool:
    """Whether all names are of a ResNet, with convolutions in the plane."""
    return all(map(RESNET.fullmatch, weights.tensors)) and not volumetric(weights.tensors.values())


def translate(weights: Weights) -> Translation:
    """Translate a backbone and its classifier of 1000 classes."""
    return Translation(rename(weights.tensors, BACKBONE), IMAGENET, image=True)
