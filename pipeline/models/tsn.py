"""TSN: a 2D network scores frames spread over the whole video, and the mean decides (arXiv:1608.00859)."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.layers.backbone import build_backbone, insert_non_local
from pipeline.layers.consensus import FrameConsensus
from pipeline.layers.frame_input import KINDS, Kind
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the ImageNet weights


def build(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_options: Mapping[str, Any] | None = None,
    input: Kind = "rgb",  # noqa: A002 - so it is called in conf/
    frames: int = 5,
    dropout: float = 0.5,
    partial_bn: bool = False,
    non_local: bool = False,
) -> nn.Module:
    """TSN: clip (N, 3, T, H, W) -> logits (N, C).

    Args:
        num_classes: C.
        backbone: any network of timm.
        backbone_options: options of timm, see `build_backbone`.
        input: "rgb"; "rgb_difference": of 6 consecutive frames at each place, 5 differences, as 15 channels, which
            wants `consecutive: 6` in clip.sampler; or "flow": 5 consecutive flows, as 10 channels, which wants
            `consecutive: 5` there and `input: flow` in clip.
        frames: T, if there are non-local blocks. Otherwise the network is the same for any number and takes
            any; the option is there so that TSN, TSM and TIN are configured alike.
        dropout: dropout probability before the classifier.
        partial_bn: whether all batch norms but the first are frozen, see `FrameNetwork`.
        non_local: whether there are five non-local blocks in stages two and three, see `insert_non_local`.
    """
    looks_at = KINDS[input]
    network = build_backbone(backbone, in_chans=looks_at.channels, **(backbone_options or {}))
    if non_local:
        insert_non_local(network, frames)
    fixed = frames if non_local else None
    return FrameConsensus(network, num_classes, dropout=dropout, frames=fixed, partial_bn=partial_bn, looks_at=looks_at)
