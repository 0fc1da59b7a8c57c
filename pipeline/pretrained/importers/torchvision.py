"""ImageNet ResNets of torchvision (pytorch/vision), as which timm's count, and its MViTv2, Video Swin and S3D."""

from torchvision.models import video

from pipeline.layers.normalize import InputSpec
from pipeline.pretrained.importers import BACKBONE, FACEBOOK, IMAGENET, RESNET, Translation, rename, volumetric
from pipeline.pretrained.weight_file import Weights

KINETICS = InputSpec(mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))
VIDEO: dict[str, tuple[str, InputSpec]] = {
    "conv_proj.weight": ("head.1", FACEBOOK),
    "patch_embed.proj.weight": ("head", IMAGENET),
    "features.0.0.0.weight": ("classifier.1", KINETICS),
}
"""The first convolution of a video network -> its classifier, and the input that its weights expect."""
CLASSES: tuple[str, ...] = tuple(video.S3D_Weights.KINETICS400_V1.meta["categories"])
"""Names of Kinetics-400, in the order of the rows. No file has them; every one of 400 rows is taken to mean them."""
DERIVED = "relative_position_index"
"""Last word of the names of tables that follow from Video Swin's window, and which no model here keeps."""


def recognises(weights: Weights) -> bool:
    """Whether all names are of a ResNet with convolutions in the plane, or the ends are those of a video network."""
    if volumetric(weights.tensors.values()):
        return _first(weights) is not None
    return all(map(RESNET.fullmatch, weights.tensors))


def translate(weights: Weights) -> Translation:
    """Translate a backbone and its classifier, of ImageNet's 1000 classes or, mostly, of Kinetics' 400."""
    first = _first(weights)
    if first is None:
        return Translation(rename(weights.tensors, BACKBONE), IMAGENET, image=True)
    classifier, spec = VIDEO[first]
    kept = {name: tensor for name, tensor in weights.tensors.items() if not name.endswith(DERIVED)}
    tensors = rename(kept, [(rf"^(?!{classifier}\.)", "backbone."), (rf"^{classifier}\.", "classifier.")])
    rows = tensors["classifier.weight"] = tensors["classifier.weight"].flatten(1)  # S3D's is a convolution of points
    return Translation(tensors, spec, classes=CLASSES if len(rows) == len(CLASSES) else ())


def _first(weights: Weights) -> str | None:
    """Name of the first convolution, if it and the classifier are called as in a video network."""
    names = weights.tensors
    return next((first for first, (last, _) in VIDEO.items() if {first, f"{last}.weight"} <= names.keys()), None)
