"""X-Temporal (Sense-X/X-Temporal), the report's own release: TSN, TSM, TIN, SlowFast, R3D and R(2+1)D."""

from pipeline.pretrained.importers import (
    BACKBONE,
    IMAGENET,
    RESNET,
    Rules,
    Translation,
    descendant_of_tsn,
    rename,
    translate_tsn,
    volumetric,
)
from pipeline.pretrained.weight_file import Weights

SLOWFAST: Rules = [
    (r"^lateral_p1\.", "laterals.0.conv."),
    (r"^lateral_res(\d)\.", lambda found: f"laterals.{int(found[1]) - 1}.conv."),
    (r"^(slow|fast)_res(\d)\.", lambda found: f"{found[1]}.layer{int(found[2]) - 1}."),
    (r"^(slow|fast)_(conv1|bn1)\.", r"\1.\2."),
    (r"^fc\.", "classifier."),
]
FACTORED: Rules = [(r"\.(spatial|temporal)_conv\.", r".\1."), *BACKBONE]


def recognises(weights: Weights) -> bool:
    """Whether it is TSN's class, unless another repository wrote it, or one of the three 3D networks."""
    names = weights.tensors
    return descendant_of_tsn(weights) == "x_temporal" or (
        volumetric(names.values())
        and ("fast_conv1.weight" in names or "conv1.spatial_conv.weight" in names or all(map(RESNET.fullmatch, names)))
    )


def translate(weights: Weights) -> Translation:
    """Translate a 2D network, which has TSN's names, or a 3D one, which has torchvision's."""
    if descendant_of_tsn(weights):
        return translate_tsn(weights)
    if "fast_conv1.weight" in weights.tensors:
        return Translation(rename(weights.tensors, SLOWFAST), IMAGENET, needs={"slow_frames": "strided", "alpha": 4})
    return Translation(rename(weights.tensors, FACTORED), IMAGENET)
