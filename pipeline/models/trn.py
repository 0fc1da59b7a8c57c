"""TRN: a 2D network sees single frames, and perceptrons relate the features of several (arXiv:1711.08496)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pipeline.layers.backbone import build_backbone, insert_non_local
from pipeline.layers.consensus import FrameNetwork, frame_linear
from pipeline.layers.normalize import InputSpec
from pipeline.layers.relation import MultiScaleRelation, Relation

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the ImageNet weights

SINGLE_HIDDEN = 512
MULTI_HIDDEN = 256


def build(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_options: Mapping[str, Any] | None = None,
    frames: int = 8,
    dropout: float = 0.5,
    partial_bn: bool = False,
    non_local: bool = False,
    multiscale: bool = True,
    feature_dim: int = 256,
) -> nn.Module:
    """TRN: clip (N, 3, T, H, W) with T = `frames` -> logits (N, C).

    Args:
        num_classes: C.
        backbone: any network of timm.
        backbone_options: options of timm, see `build_backbone`.
        frames: T. It is a size of learnt layers: checkpoints of 8 and of 16 frames do not fit each other.
        dropout: dropout probability of the frames' features; the authors' code has 0.8.
        partial_bn: whether all batch norms but the first are frozen, see `FrameNetwork`.
        non_local: whether there are five non-local blocks in stages two and three, see `insert_non_local`.
        multiscale: whether there are relations among T, T - 1, ... and 2 frames, or among all T only.
        feature_dim: number of features that those of a frame are reduced to first.
    """
    if feature_dim < 1:
        raise ValueError(f"feature_dim={feature_dim} must be at least 1.")
    network = build_backbone(backbone, **(backbone_options or {}))
    if non_local:
        insert_non_local(network, frames)
    relation = (
        MultiScaleRelation(frames, feature_dim, MULTI_HIDDEN, num_classes)
        if multiscale
        else Relation(frames, feature_dim, SINGLE_HIDDEN, num_classes)
    )
    return TRN(network, feature_dim, relation, dropout=dropout, frames=frames, partial_bn=partial_bn)


class TRN(FrameNetwork):
    """Network that reduces the features of all frames, then relates them. See `build`.

    Shape: (N, 3, T, H, W) -> (N, C).
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, relation: nn.Module, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.projection = frame_linear(backbone, feature_dim)
        self.relation = relation

    def consensus(self, features: Tensor) -> Tensor:
        """Features of the frames (N, T, width) -> logits (N, C)."""
        logits: Tensor = self.relation(self.projection(features))
        return logits
