"""SENets and Inception-ResNet-v2 of Cadene/pretrained-models.pytorch; timm kept the names of both."""

from pipeline.layers.normalize import InputSpec
from pipeline.pretrained.importers import IMAGENET, Translation, rename
from pipeline.pretrained.weight_file import Weights

SENET = {"layer0.conv1.weight", "last_linear.weight"}
INCEPTION_RESNET = {"conv2d_1a.conv.weight", "last_linear.weight"}
HALF = InputSpec(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def recognises(weights: Weights) -> bool:
    """Whether the first and the last layer have the names of these networks."""
    return any(ends <= weights.tensors.keys() for ends in (SENET, INCEPTION_RESNET))


def translate(weights: Weights) -> Translation:
    """Translate a backbone and its classifier, without the background class of TensorFlow's weights."""
    tensors = rename(weights.tensors, [(r"^last_linear\.", "classifier."), (r"^(?!classifier\.)", "backbone.")])
    if "backbone.conv2d_1a.conv.weight" not in tensors:
        return Translation(tensors, IMAGENET, image=True)
    for name, tensor in tensors.items():
        if name.startswith("classifier.") and len(tensor) == 1001:
            tensors[name] = tensor[1:]
    return Translation(tensors, HALF, image=True)
