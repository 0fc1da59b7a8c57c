"""Fast: SlowFast's path for many frames, on its own and with all its channels.

The report ("Top-1 Solution of Multi-Moments in Time Challenge 2019") trains it as "Fast-only" 32x2 and 16x2,
without the reduction of channels, at about four times SlowFast's cost. Nobody has published that network;
this is PySlowFast's single path with the fast path's kernels. Feichtenhofer et al.: "SlowFast Networks for
Video Recognition", ICCV 2019, arXiv:1812.03982, section 3.2.
"""

from collections.abc import Sequence

from torch import nn

from pipeline.layers.classifier import ClipClassifier
from pipeline.layers.normalize import InputSpec
from pipeline.layers.resnet3d import Pathway, blocks_of_depth, he_init, spatial_pool

INPUT = InputSpec(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))  # as PySlowFast has for this family

KERNELS_T = ((3, 1),) * 4  # it looks along time in every block


def build(
    num_classes: int,
    *,
    depth: int = 50,
    dropout: float = 0.5,
    width: int = 64,
    blocks: Sequence[int] | None = None,
    block: str = "bottleneck",
) -> nn.Module:
    """Fast network: clip (N, 3, T, H, W) -> logits (N, C).

    It starts as in PySlowFast: He's initialisation, and residual branches that end in a norm of scale zero.

    Args:
        num_classes: C.
        depth: 50, 101, 152 or 200.
        dropout: dropout probability before the classifier.
        width: channels of the stem.
        blocks: residual blocks in each of the four stages, instead of those that `depth` stands for.
        block: "bottleneck" or, for small networks, "basic".
    """
    blocks = blocks_of_depth(depth) if blocks is None else blocks
    pathway = Pathway(width, blocks, stem_t=5, kernels_t=KERNELS_T, pool=spatial_pool(), block=block)
    he_init(pathway, zero_branches=True)
    return ClipClassifier(pathway, pathway.channels[-1], num_classes, dropout=dropout)
