"""pytorchvideo (facebookresearch/pytorchvideo): SlowFast and the slow path alone, PySlowFast's networks."""

import re

from pipeline.pretrained.importers import Rules, Translation, rename, single_or_two_paths
from pipeline.pretrained.weight_file import Weights

RULES: Rules = [
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"laterals.\1.conv."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"laterals.\1.bn."),
    (r"^blocks\.(\d)\.multipathway_blocks\.(\d)\.", r"path\2.\1."),
    (r"^blocks\.[56]\.proj\.", "classifier."),  # a pooling stands before the head of two paths
    (r"^blocks\.(\d)\.", r"path0.\1."),
    (r"^path(\d)\.0\.conv\.", r"path\1.conv1."),
    (r"^path(\d)\.0\.norm\.", r"path\1.bn1."),
    (r"^path(\d)\.(\d)\.res_blocks\.", r"path\1.layer\2."),
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    (r"\.branch2\.conv_([abc])\.", lambda found: f".conv{'abc'.index(found[1]) + 1}."),
    (r"\.branch2\.norm_([abc])\.", lambda found: f".bn{'abc'.index(found[1]) + 1}."),
]


def recognises(weights: Weights) -> bool:
    """Whether stages are numbered blocks, and the residual ones within them have two branches."""
    return any(re.match(r"blocks\.\d\..*res_blocks\.\d+\.branch2\.conv_a\.", name) for name in weights.tensors)


def translate(weights: Weights) -> Translation:
    """Translate SlowFast or a single path."""
    return single_or_two_paths(rename(weights.tensors, RULES))
