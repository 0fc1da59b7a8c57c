"""TSN: a 2D network scores frames spread over the whole video, and the mean decides (arXiv:1608.00859)."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.layers.consensus import FrameConsensus
from pipeline.layers.resnet2d import build_backbone
from pipeline.transforms import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the ImageNet weights


def build(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_options: Mapping[str, Any] | None = None,
    frames: int = 5,  # noqa: ARG001 - see below
    dropout: float = 0.5,
    partial_bn: bool = False,
) -> nn.Module:
    """Clip (N, 3, T, H, W) -> logits (N, C).

    Args:
        num_classes: C.
        backbone: any network of timm.
        backbone_options: for timm, see `build_backbone`.
        frames: as many as the recipe draws. The network is the same for any number and takes any; the option
            is there so that TSN, TSM and TIN are configured alike.
        dropout: before the classifier.
        partial_bn: freeze all batch norms but the first, see `FrameConsensus`.
    """
    network = build_backbone(backbone, **(backbone_options or {}))
    return FrameConsensus(network, num_classes, dropout=dropout, partial_bn=partial_bn)
