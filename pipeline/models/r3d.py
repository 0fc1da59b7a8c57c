"""R3D: a ResNet of 3x3x3 convolutions, which halves time and space stage by stage.

Hara et al.: "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR 2018,
arXiv:1711.09577; layer by layer that of X-Temporal, the report's own release, but for the pooling in front of
the classifier. There it has a fixed size, and a larger test crop does not fit.
"""

from collections.abc import Sequence

from torch import nn

from pipeline.layers.classifier import ClipClassifier
from pipeline.layers.normalize import InputSpec
from pipeline.layers.resnet3d import BASIC_DEPTHS, BOTTLENECK_DEPTHS, Pathway, blocks_of_depth, he_init

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def build(
    num_classes: int,
    *,
    depth: int = 18,
    dropout: float = 0.5,
    width: int = 64,
    blocks: Sequence[int] | None = None,
) -> nn.Module:
    """R3D: clip (N, 3, T, H, W) -> logits (N, C).

    Args:
        num_classes: C.
        depth: 18 or 34, of basic blocks; 50, 101, 152 or 200, of bottlenecks.
        dropout: dropout probability before the classifier.
        width: channels of the stem.
        blocks: residual blocks in each of the four stages, instead of those that `depth` stands for.
    """
    of_depth = blocks_of_depth(depth, BASIC_DEPTHS | BOTTLENECK_DEPTHS)
    basic = depth in BASIC_DEPTHS
    pathway = Pathway(
        width,
        of_depth if blocks is None else blocks,
        stem_t=7,
        kernels_t=((3, 3) if basic else (1, 3),) * 4,
        strides_t=(1, 2, 2, 2),
        pool=nn.MaxPool3d(kernel_size=3, stride=2, padding=1),
        block="basic" if basic else "bottleneck",
    )
    he_init(pathway)
    return ClipClassifier(pathway, pathway.channels[-1], num_classes, dropout=dropout)
