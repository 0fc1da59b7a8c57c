"""VideoPrism: a frozen encoder, which sees each frame and then how its patches change, and a head that learns.

Zhao et al.: "VideoPrism: A Foundational Visual Encoder for Video Understanding", ICML 2024, arXiv:2402.13217; encoder
and head, attention from one learnt query, are transformers' own classes.
"""

from typing import Any

from torch import Tensor, nn

from pipeline.layers import video_encoders
from pipeline.layers.hugging_face import ClipTransformer, FrozenEncoder
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # its weights take pixels of 0..1 as they are
EXTRA = "hf"
PACKAGES = ("transformers",)


def build(
    num_classes: int,
    *,
    frames: int = 16,
    size: int = 288,
    patch: int = 18,
    width: int = 768,
    depth: int = 12,
    temporal_depth: int = 4,
    heads: int = 12,
    dropout: float = 0.0,
) -> nn.Module:
    """VideoPrism: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are VideoPrism-B.

    Args:
        num_classes: C.
        frames: T.
        size: H and W in pixels, a multiple of `patch`.
        patch: side of a patch in pixels.
        width: channels, a multiple of `heads`.
        depth: blocks over the patches of a frame.
        temporal_depth: blocks over the frames at the place of a patch.
        heads: heads of attention in each block.
        dropout: dropout probability before the classifier.
    """
    theirs = video_encoders.videoprism(
        frames=frames, size=size, patch=patch, width=width, depth=depth, temporal_depth=temporal_depth, heads=heads
    )
    network = FrozenEncoder(theirs.vision_model, QueryPooling(theirs.head, theirs.head_layernorm))
    return ClipTransformer(network, width, num_classes, dropout=dropout, frames=frames, size=size, heads=heads)


class QueryPooling(nn.Module):
    """Attention from one learnt query to all patches, and a norm.

    Shape: (N, P, width) -> (N, width).
    """

    def __init__(self, pool: Any, norm: nn.Module) -> None:
        super().__init__()
        self.pool, self.norm = pool, norm

    def forward(self, patches: Tensor) -> Tensor:
        """Patches -> features."""
        pooled, _ = self.pool(patches)
        features: Tensor = self.norm(pooled).squeeze(1)
        return features
