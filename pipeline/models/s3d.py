"""S3D: an Inception network whose convolutions are factored into one in space and one along time.

Xie et al.: "Rethinking Spatiotemporal Feature Learning", ECCV 2018, arXiv:1712.04851; the network is torchvision's own
class, without the gates of S3D-G.
"""

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.video import S3D

from pipeline.layers.classifier import FeatureClassifier
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))  # of Kinetics

STEM, LAST = 64, 1024
"""Channels behind the first convolution and in front of the classifier, in the published network."""
WINDOW = (2, 7, 7)
"""Frames, rows and columns of the last maps that are averaged at once."""


def build(num_classes: int, *, width: int = STEM, norm_momentum: float = 0.001, dropout: float = 0.2) -> nn.Module:
    """S3D: clip (N, 3, T, H, W) -> logits (N, C), for clips of at least 14 frames of 17 x 17 pixels.

    Args:
        num_classes: C.
        width: channels of the stem, a multiple of 8; all others follow.
        norm_momentum: share of a batch in the running statistics of the norms. The published one needs thousands of
            steps, so a training from a random start takes 0.1.
        dropout: dropout probability before the classifier.
    """
    if width < 8 or width % 8:
        raise ValueError(f"width={width} must be a multiple of 8.")
    network = S3D()
    network.avgpool = WindowMean()
    network.classifier = nn.Identity()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv3d):
                setattr(module, name, _resized(child, width))
            elif isinstance(child, nn.BatchNorm3d):
                channels = child.num_features * width // STEM
                setattr(module, name, nn.BatchNorm3d(channels, eps=child.eps, momentum=norm_momentum))
    return FeatureClassifier(network, LAST * width // STEM, num_classes, dropout=dropout)


def _resized(conv: nn.Conv3d, width: int) -> nn.Module:
    """The same convolution, of as many channels as it has where the stem has `width`; RGB stays."""
    came, goes = (
        channels if channels == 3 else channels * width // STEM for channels in (conv.in_channels, conv.out_channels)
    )
    # torch's types leave open that each of these has three sides
    return nn.Conv3d(came, goes, conv.kernel_size, conv.stride, conv.padding, bias=False)  # type: ignore[arg-type]


class WindowMean(nn.Module):
    """Means of all windows of a map, as S3D has them; of the whole map along a side that is shorter than a window.

    Shape: (N, C, T, H, W) -> (N, C, T', H', W').
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Maps -> means."""
        kernel = [min(window, side) for window, side in zip(WINDOW, maps.shape[2:], strict=True)]
        return F.avg_pool3d(maps, kernel, stride=1)
