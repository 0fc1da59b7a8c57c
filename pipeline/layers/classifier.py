"""Head of a network of one path: global average, dropout, linear layer."""

from torch import Tensor, nn


class ClipClassifier(nn.Module):
    """Network of one path: clip -> `backbone` -> mean over time and space -> dropout -> linear layer.

    The mean is over maps of any size, so that clips may be longer and larger than those of the training. The
    linear layer starts at N(0, 0.01) with bias 0, as in PySlowFast.

    Shape: (N, 3, T, H, W) -> (N, `num_classes`).

    Args:
        backbone: network that maps clips to features (N, `channels`, T', H', W').
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> logits (N, C)."""
        logits: Tensor = self.classifier(self.dropout(self.backbone(clip).mean(dim=(2, 3, 4))))
        return logits
