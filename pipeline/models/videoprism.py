"""VideoPrism: a frozen encoder, which sees each frame and then how its patches change, and a head that learns.

Zhao et al.: "VideoPrism: A Foundational Visual Encoder for Video Understanding", ICML 2024, arXiv:2402.13217; encoder
and head, attention from one learnt query, are transformers' own classes.
"""

from typing import Any

from torch import Tensor, nn

from pipeline.layers.hugging_face import ClipTransformer, FrozenEncoder, library
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # its weights take pixels of 0..1 as they are
EXTRA = "hf"


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
    if min(frames, size, patch) < 1 or size % patch:
        raise ValueError(f"frames={frames} must be at least 1, and size={size} a multiple of patch={patch}.")
    if min(width, depth, temporal_depth, heads) < 1 or width % heads:
        raise ValueError(
            f"width={width} must be a multiple of heads={heads}, and depth={depth} and temporal_depth={temporal_depth} "
            "at least 1."
        )
    transformers = library()
    config = transformers.VideoPrismVisionConfig(
        num_frames=frames,
        image_size=size,
        tubelet_size=(1, patch, patch),
        hidden_size=width,
        intermediate_size=4 * width,
        num_spatial_layers=depth,
        num_temporal_layers=temporal_depth,
        num_attention_heads=heads,
        attn_implementation="eager",  # no other caps the logits of attention
    )
    theirs = transformers.VideoPrismForVideoClassification(config)
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
