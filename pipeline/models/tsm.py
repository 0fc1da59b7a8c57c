"""TSM: a 2D network whose residual branches see channels of the neighbouring frames (arXiv:1811.08383)."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.layers.backbone import build_backbone, insert_non_local, insert_temporal
from pipeline.layers.consensus import FrameConsensus
from pipeline.layers.frame_input import KINDS, Kind
from pipeline.layers.normalize import InputSpec
from pipeline.layers.shift import TemporalShift

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
    shift_div: int = 8,
    place: str = "blockres",
    every: int = 1,
) -> nn.Module:
    """TSM: clip (N, 3, T, H, W) with T = `frames` -> logits (N, C).

    Args:
        num_classes: C.
        backbone: a ResNet, SENet, MobileNetV2 or V3 or EfficientNet of timm, see `residual_stages`.
        backbone_options: options of timm, see `build_backbone`.
        input: "rgb"; "rgb_difference": of 6 consecutive frames at each place, 5 differences, as 15 channels, which
            wants `consecutive: 6` in clip.sampler; or "flow": 5 consecutive flows, as 10 channels, which wants
            `consecutive: 5` there and `input: flow` in clip.
        frames: T.
        dropout: dropout probability before the classifier.
        partial_bn: whether all batch norms but the first are frozen, see `FrameNetwork`.
        non_local: whether there are five non-local blocks in stages two and three, see `insert_non_local`.
        shift_div: 1 / `shift_div` of the channels moves back in time, and as much forward.
        place: "blockres" (in the residual branch) or "block" (before the whole block).
        every: 1 shifts every block, as X-Temporal does, the report's own release; 2 every second block of each stage,
            as the authors' repository does for ResNet-101: its checkpoints need it. Of inverted residual blocks only
            those with an expansion and a shortcut count, as in the authors' MobileNetV2.
    """
    looks_at = KINDS[input]
    network = build_backbone(backbone, in_chans=looks_at.channels, **(backbone_options or {}))
    insert_temporal(network, lambda _: TemporalShift(frames, shift_div), place=place, every=every)
    if non_local:
        insert_non_local(network, frames)
    return FrameConsensus(
        network, num_classes, dropout=dropout, frames=frames, partial_bn=partial_bn, looks_at=looks_at
    )
