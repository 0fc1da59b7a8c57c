"""mmaction2 (open-mmlab/mmaction2): TSN, TSM, TIN, SlowFast and SlowOnly on its own ResNets."""

import torch
from torch import Tensor

from pipeline.pretrained.importers import IMAGENET, Rules, Translation, rename
from pipeline.pretrained.weight_file import Weights

RULES: Rules = [
    (r"\.conv1\.conv\.net1\.", ".conv1.temporal."),
    (r"\.offset_net\.fc1\.", ".offset_net.hidden."),
    (r"\.offset_net\.fc2\.", ".offset_net.out."),
    (r"\.weight_net\.conv\.", ".weight_net."),
    (r"\.conv1\.conv\.net2?\.", ".conv1.wrapped."),
    (r"\.conv(\d)\.bn\.", r".bn\1."),  # every convolution and its norm are one module there
    (r"\.(conv\d)\.conv\.weight$", r".\1.weight"),
    (r"\.conv1\.wrapped\.", ".conv1.conv."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"^cls_head\.fc_cls\.", "classifier."),
    (r"^backbone\.slow_path\.conv1_lateral\.", "laterals.0."),
    (r"^backbone\.slow_path\.layer(\d)_lateral\.", r"laterals.\1."),
    (r"^backbone\.(slow|fast)_path\.", r"\1."),
]


def recognises(weights: Weights) -> bool:
    """Whether there is a head called `cls_head`."""
    return any(name.startswith("cls_head.") for name in weights.tensors)


def translate(weights: Weights) -> Translation:
    """Translate a 2D network, SlowOnly, or SlowFast with its features in this project's order."""
    tensors = rename(weights.tensors, RULES)
    if not any(name.startswith("fast.") for name in tensors):
        return Translation(tensors, IMAGENET)
    return Translation(_slow_first(tensors), IMAGENET, needs={"slow_frames": "strided"})


def _slow_first(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Reorder the classifier's columns: (fast, slow) -> (slow, fast)."""
    classifier, last = tensors.get("classifier.weight"), tensors.get("fast.layer4.0.downsample.1.weight")
    if classifier is None or last is None:  # a file with gaps, which is reported as such
        return tensors
    fast, slow = classifier.tensor_split([len(last)], dim=1)
    return tensors | {"classifier.weight": torch.cat([slow, fast], dim=1)}
