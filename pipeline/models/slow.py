"""Slow: the wide path of SlowFast on its own, for few frames far apart.

Feichtenhofer et al.: "SlowFast Networks for Video Recognition", ICCV 2019, arXiv:1812.03982, section 3.1 and
table 2 ("Slow-only"), as in PySlowFast. The same network serves 8x8 and 8x4.
"""

from collections.abc import Sequence
from functools import partial

from torch import nn

from pipeline.layers.classifier import ClipClassifier
from pipeline.layers.non_local import NonLocal, append_non_local
from pipeline.layers.normalize import InputSpec
from pipeline.layers.resnet3d import Pathway, blocks_of_depth, he_init, spatial_pool

INPUT = InputSpec(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))  # of PySlowFast's weights

KERNELS_T = ((1, 1), (1, 1), (3, 1), (3, 1))  # it looks along time only in its last two stages
NON_LOCAL = {"layer2": (1, 3), "layer3": (1, 3, 5)}  # PySlowFast's SLOW_NLN


def build(
    num_classes: int,
    *,
    depth: int = 50,
    dropout: float = 0.5,
    width: int = 64,
    blocks: Sequence[int] | None = None,
    block: str = "bottleneck",
    non_local: bool = False,
) -> nn.Module:
    """Slow network: clip (N, 3, T, H, W) -> logits (N, C).

    It starts as in PySlowFast: He's initialisation, and residual branches that end in a norm of scale zero.

    Args:
        num_classes: C.
        depth: 50, 101, 152 or 200.
        dropout: dropout probability before the classifier.
        width: channels of the stem.
        blocks: residual blocks in each of the four stages, instead of those that `depth` stands for.
        block: "bottleneck" or, for small networks, "basic".
        non_local: whether there are five non-local blocks, of the kind dot product, behind blocks 1 and 3 of the
            second stage and 1, 3 and 5 of the third.
    """
    blocks = blocks_of_depth(depth) if blocks is None else blocks
    pathway = Pathway(width, blocks, stem_t=1, kernels_t=KERNELS_T, pool=spatial_pool(), block=block)
    if non_local:
        for stage, channels in (("layer2", pathway.channels[2]), ("layer3", pathway.channels[3])):
            make = partial(NonLocal, channels, weighting="dot_product", pool="before")
            append_non_local(pathway, stage, NON_LOCAL[stage], make)
    he_init(pathway, zero_branches=True)
    return ClipClassifier(pathway, pathway.channels[-1], num_classes, dropout=dropout)
