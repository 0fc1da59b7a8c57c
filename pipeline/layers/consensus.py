"""Video networks made of a 2D network, which looks at every frame, and a consensus of the frames.

Wang et al.: "Temporal Segment Networks", ECCV 2016, arXiv:1608.00859, with the average as its segmental
consensus.
"""

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn

from pipeline.layers.backbone import feature_width
from pipeline.layers.frame_input import RGB, FrameInput
from pipeline.layers.non_local import NonLocal
from pipeline.layers.sync_norm import SyncNorm

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, SyncNorm)


class FrameNetwork(nn.Module):
    """Video network: clip -> images -> `backbone` -> dropout -> `consensus`, which a subclass defines.

    Shape: (N, 3, T x S, H, W) -> (N, C), where S is `looks_at.consecutive`, mostly 1; flow has 2 planes in place of 3.

    Args:
        backbone: a network of `build_backbone`.
        dropout: dropout probability of the frames' features.
        frames: the T that layers are built for; None where any T will do.
        partial_bn: keep every batch norm but the first as it was loaded: in train() it normalises with its
            stored statistics and does not update them, and its scale and shift have no gradient. So do the
            repositories of TSM and TIN; X-Temporal trains scale and shift. It is for tuning a pretrained
            network with small batches, not for training from scratch. The norms of non-local blocks learn
            all the same: they start at zero, where nothing behind a frozen one would ever learn.
        looks_at: the frames of each of the T places of a clip, and the image that is made of them.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        dropout: float = 0.5,
        frames: int | None = None,
        partial_bn: bool = False,
        looks_at: FrameInput = RGB,
    ) -> None:
        super().__init__()
        self.looks_at = looks_at
        self.frames = frames
        self.partial_bn = partial_bn
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        if partial_bn:
            for norm in self._frozen_norms():
                norm.requires_grad_(False)

    def consensus(self, features: Tensor) -> Tensor:
        """Features of the frames (N, T, width) -> logits (N, C)."""
        raise NotImplementedError

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T x S, H, W) -> logits (N, C)."""
        frames = clip.shape[2] // self.looks_at.consecutive
        images = self.looks_at.images(clip)
        if self.frames not in (None, frames):
            raise ValueError(
                f"The clip has {frames} frames, but the temporal layers of this network are built for "
                f"{self.frames}. Draw clips of {self.frames} frames, or build and train the model with its "
                f"option `frames: {frames}`."
            )
        features = self.dropout(self.backbone(images))  # (N*T, width)
        return self.consensus(features.unflatten(0, (-1, frames)))

    def train(self, mode: bool = True) -> Self:
        """Set the mode as in any module, but keep the batch norms that `partial_bn` freezes in eval mode."""
        super().train(mode)
        if self.partial_bn:
            for norm in self._frozen_norms():
                norm.eval()
        return self

    def _frozen_norms(self) -> Sequence[nn.Module]:
        # Looked up anew each time: turning a network into a synchronised one replaces these modules.
        learning = {module.bn for module in self.modules() if isinstance(module, NonLocal)}
        norms = [module for module in self.modules() if isinstance(module, BATCH_NORMS)]
        return [norm for norm in norms[1:] if norm not in learning]


class FrameConsensus(FrameNetwork):
    """Network that scores every frame by a linear layer and answers with the mean of these logits.

    The mean is of logits, before any sigmoid. The linear layer starts at N(0, 0.001) with bias 0, so that at
    first every class of every clip scores about the same.

    Shape: (N, 3, T x S, H, W) -> (N, `num_classes`), see `FrameNetwork`.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.classifier = frame_linear(backbone, num_classes)

    def consensus(self, features: Tensor) -> Tensor:
        """Features of the frames (N, T, width) -> logits (N, C)."""
        logits: Tensor = self.classifier(features)
        return logits.mean(dim=1)


def frame_linear(backbone: nn.Module, out_features: int) -> nn.Linear:
    """Linear layer for a frame's pooled features; its weights start at N(0, 0.001), its bias at 0."""
    linear = nn.Linear(feature_width(backbone), out_features)
    nn.init.normal_(linear.weight, std=0.001)
    nn.init.zeros_(linear.bias)
    return linear
