"""A 2D network as a video network: score every frame, average the scores.

Wang et al.: "Temporal Segment Networks", ECCV 2016, arXiv:1608.00859, with the average as its segmental
consensus.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from pipeline.layers.resnet2d import feature_width

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class FrameConsensus(nn.Module):
    """Clip -> frames -> `backbone` -> dropout -> linear -> mean of the frames' logits.

    The mean is of logits, before any sigmoid. The linear layer starts at N(0, 0.001) with bias 0, so that at
    first every class of every clip scores about the same.

    Shape: (N, 3, T, H, W) -> (N, `num_classes`).

    Args:
        backbone: a network of `build_backbone`.
        frames: the T that layers within the backbone are built for; None where any T will do.
        partial_bn: keep every batch norm but the first as it was loaded: in train() it normalises with its
            stored statistics and does not update them, and its scale and shift have no gradient. So do the
            repositories of TSM and TIN; X-Temporal trains scale and shift. It is for tuning a pretrained
            network with small batches, not for training from scratch.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        *,
        dropout: float = 0.5,
        frames: int | None = None,
        partial_bn: bool = False,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.partial_bn = partial_bn
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(feature_width(backbone), num_classes)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)
        if partial_bn:
            for norm in self._frozen_norms():
                norm.requires_grad_(False)

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> logits (N, C)."""
        frames = clip.shape[2]
        if self.frames not in (None, frames):
            raise ValueError(
                f"The clip has {frames} frames, but the temporal layers of this network are built for "
                f"{self.frames}. Draw clips of {self.frames} frames, or build and train the model with its "
                f"option `frames: {frames}`."
            )
        images = clip.transpose(1, 2).flatten(0, 1)  # (N*T, 3, H, W)
        features = self.backbone(images)  # (N*T, width)
        logits = self.classifier(self.dropout(features))  # (N*T, C)
        return logits.unflatten(0, (-1, frames)).mean(dim=1)

    def train(self, mode: bool = True) -> "FrameConsensus":
        """As in any module, but the batch norms that `partial_bn` freezes stay in eval mode."""
        super().train(mode)
        if self.partial_bn:
            for norm in self._frozen_norms():
                norm.eval()
        return self

    def _frozen_norms(self) -> Sequence[nn.Module]:
        # Looked up anew each time: turning a network into a synchronised one replaces these modules.
        return [module for module in self.modules() if isinstance(module, BATCH_NORMS)][1:]
