"""R(2+1)D: R3D with every convolution factored into one in space and one along time.

Tran et al.: "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018,
arXiv:1711.11248; layer by layer that of X-Temporal, the report's own release. Its stem is 83 channels wide
within, where the paper's has 45.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from pipeline.layers.classifier import ClipClassifier
from pipeline.layers.normalize import InputSpec
from pipeline.layers.resnet3d import (
    BASIC_DEPTHS,
    BOTTLENECK_DEPTHS,
    Pathway,
    blocks_of_depth,
    factored_conv3d,
    he_init,
    spatial_pool,
)

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def build(
    num_classes: int,
    *,
    depth: int = 18,
    dropout: float = 0.5,
    width: int = 64,
    blocks: Sequence[int] | None = None,
    max_pooling: bool = False,
) -> nn.Module:
    """R(2+1)D: clip (N, 3, T, H, W) -> logits (N, C).

    Args:
        num_classes: C.
        depth: 18 or 34, of basic blocks; 50, 101, 152 or 200, of bottlenecks.
        dropout: dropout probability before the classifier.
        width: channels of the stem.
        blocks: residual blocks in each of the four stages, instead of those that `depth` stands for.
        max_pooling: whether height and width are halved behind the stem, for a quarter of the cost; the paper does not.
    """
    of_depth = blocks_of_depth(depth, BASIC_DEPTHS | BOTTLENECK_DEPTHS)
    basic = depth in BASIC_DEPTHS
    pathway = Pathway(
        width,
        of_depth if blocks is None else blocks,
        stem_t=3,
        kernels_t=((3, 3) if basic else (1, 3),) * 4,
        strides_t=(1, 2, 2, 2),
        pool=spatial_pool() if max_pooling else nn.Identity(),
        conv=factored_conv3d,
        block="basic" if basic else "bottleneck",
    )
    he_init(pathway)
    return R2Plus1D(pathway, pathway.channels[-1], num_classes, dropout=dropout, max_pooling=max_pooling)


class R2Plus1D(ClipClassifier):
    """R(2+1)D network, see `build`. It keeps `max_pooling`, which no tensor shows, to compare a checkpoint with it."""

    def __init__(self, *arguments: Any, max_pooling: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.max_pooling = max_pooling
