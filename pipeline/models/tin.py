"""TIN: a 2D network whose residual branches see frames at learnt distances in time (arXiv:2001.06499).

The module stands before the first convolution of every block. The report says before each convolution; its
own release (X-Temporal) and the authors' code have it before the first only.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.layers.backbone import build_backbone, insert_non_local, insert_temporal
from pipeline.layers.consensus import FrameConsensus
from pipeline.layers.frame_input import KINDS, Kind
from pipeline.layers.interlace import TemporalInterlace
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the ImageNet weights


def build(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_options: Mapping[str, Any] | None = None,
    input: Kind = "rgb",  # noqa: A002 - so it is called in conf/
    frames: int = 8,
    dropout: float = 0.5,
    partial_bn: bool = False,
    non_local: bool = False,
    shift_div: int = 4,
    offset_init: float = 0.5,
) -> nn.Module:
    """TIN: clip (N, 3, T, H, W) with T = `frames` -> logits (N, C).

    Args:
        num_classes: C.
        backbone: a ResNet, SENet, MobileNetV2 or V3 or EfficientNet of timm, see `residual_stages`.
        backbone_options: options of timm, see `build_backbone`.
        input: "rgb"; "rgb_difference": of 6 consecutive frames at each place, 5 differences, as 15 channels, which
            wants `consecutive: 6` in clip.sampler; or "flow": 5 consecutive flows, as 10 channels, which wants
            `consecutive: 5` there and `input: flow` in clip.
        frames: T. It is a size of learnt layers: checkpoints of 8 and of 16 frames do not fit each other.
        dropout: dropout probability before the classifier.
        partial_bn: whether all batch norms but the first are frozen, see `FrameNetwork`.
        non_local: whether there are five non-local blocks in stages two and three, see `insert_non_local`.
        shift_div: 1 / `shift_div` of the channels moves, in four groups. The narrow blocks of MobileNets and
            EfficientNets divide with 2, and not with 4.
        offset_init: initial value of the learnt distances, in frames; 0.5 as published.
    """
    looks_at = KINDS[input]
    network = build_backbone(backbone, in_chans=looks_at.channels, **(backbone_options or {}))
    insert_temporal(network, lambda channels: TemporalInterlace(channels, frames, shift_div, offset_init))
    if non_local:
        insert_non_local(network, frames)
    return FrameConsensus(
        network, num_classes, dropout=dropout, frames=frames, partial_bn=partial_bn, looks_at=looks_at
    )
