"""C3D in miniature: 3D convolutions, each of which halves the frame, and a linear classifier (arXiv:1412.0767)."""

from itertools import pairwise

from torch import Tensor, nn

from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))  # a choice: it has no public weights


def build(num_classes: int, *, width: int = 16, depth: int = 3, dropout: float = 0.3) -> nn.Module:
    """Network from clips (N, 3, T, H, W) to logits (N, C).

    Args:
        num_classes: C.
        width: channels of the first convolution; each of the others has twice as many as the one before.
        depth: convolutions.
        dropout: share of the features that training drops before the classifier, 0..1.

    Raises:
        ValueError: width or depth is below 1.
    """
    if width < 1 or depth < 1:
        raise ValueError(f"width and depth must be at least 1, but are {width} and {depth}")
    return MiniC3D(num_classes, [3, *(width * 2**layer for layer in range(depth))], dropout)


class MiniC3D(nn.Module):
    """Clips (N, 3, T, H, W) -> logits (N, C)."""

    def __init__(self, num_classes: int, channels: list[int], dropout: float) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*(convolution(before, after) for before, after in pairwise(channels)))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1], num_classes)  # `train.optim.roles` know a classifier by this name

    def forward(self, clip: Tensor) -> Tensor:
        """Logits of each clip of a batch."""
        return self.classifier(self.dropout(self.backbone(clip).mean(dim=(2, 3, 4))))


def convolution(before: int, after: int) -> nn.Module:
    """One step along time and space: features (N, before, T, H, W) -> (N, after, T, H/2, W/2)."""
    same_time_half_size = nn.Conv3d(before, after, kernel_size=3, stride=(1, 2, 2), padding=1, bias=False)
    return nn.Sequential(same_time_half_size, nn.BatchNorm3d(after), nn.ReLU(inplace=True))
