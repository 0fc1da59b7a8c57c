"""Heads of networks of one path: dropout and a linear layer, on features that are pooled already or not yet."""

from torch import Tensor, nn


class FeatureClassifier(nn.Module):
    """Network of one path: clip -> `backbone` -> dropout -> linear layer.

    The linear layer starts at N(0, 0.01) with bias 0, as in PySlowFast.

    Shape: (N, 3, T, H, W) -> (N, `num_classes`).

    Args:
        backbone: network that maps clips to features (N, `channels`).
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def features(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> what the linear layer reads (N, channels)."""
        found: Tensor = self.backbone(clip)
        return found

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> logits (N, C)."""
        logits: Tensor = self.classifier(self.dropout(self.features(clip)))
        return logits


class ClipClassifier(FeatureClassifier):
    """The same, with a mean over time and space behind the `backbone`, which gives (N, `channels`, T', H', W').

    The mean is over maps of any size, so that clips may be longer and larger than those of the training.
    """

    def features(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> the means of the maps (N, channels)."""
        return super().features(clip).mean(dim=(2, 3, 4))
