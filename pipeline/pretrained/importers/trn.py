"""TRN-pytorch (zhoubolei/TRN-pytorch): TSN's class with relations between frames in place of the mean."""

from pipeline.pretrained.importers import Rules, Translation, descendant_of_tsn, translate_tsn, volumetric
from pipeline.pretrained.weight_file import Weights

RULES: Rules = [
    (r"^new_fc\.|^base_model\.fc\.", "projection."),  # no row per class here
    (r"^consensus\.", ""),
    (r"^(classifier|fc_fusion_scales\.\d+)\.1\.", r"\1.hidden."),
    (r"^(classifier|fc_fusion_scales\.\d+)\.3\.", r"\1.classifier."),
    (r"^classifier\.", "relation."),
    (r"^fc_fusion_scales\.", "relation.scales."),
]
HEADS = ("classifier.1.weight", "fc_fusion_scales.0.1.weight")


def recognises(weights: Weights) -> bool:
    """Whether it is TSN's class with a consensus that has weights, or such a consensus alone."""
    alone = any(name in weights.tensors for name in HEADS) and not volumetric(weights.tensors.values())
    return alone or descendant_of_tsn(weights) == "trn"


def translate(weights: Weights) -> Translation:
    """Translate TRN of one scale or of several."""
    return translate_tsn(weights, RULES)
