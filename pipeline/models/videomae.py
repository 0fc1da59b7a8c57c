"""VideoMAE: a plain transformer over patches of two frames, all of which see one another.

Tong et al.: "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
NeurIPS 2022, arXiv:2203.12602; the network is transformers' own class.
"""

from typing import Any

from torch import Tensor, nn

from pipeline.layers.hugging_face import ClipTransformer, library
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the published weights
EXTRA = "hf"
PACKAGES = ("transformers",)

PATCH_FRAMES = 2


def build(
    num_classes: int,
    *,
    frames: int = 16,
    size: int = 224,
    patch: int = 16,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    mean_pooling: bool = True,
    dropout: float = 0.0,
) -> nn.Module:
    """VideoMAE: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are VideoMAE-B.

    Args:
        num_classes: C.
        frames: T, even.
        size: H and W in pixels, a multiple of `patch`.
        patch: side of a patch in pixels; it has two frames.
        width: channels, a multiple of `heads`.
        depth: blocks.
        heads: heads of attention in each block.
        mean_pooling: whether the classifier reads the mean of all patches. Otherwise it reads the first patch, as
            networks do that were tuned by transformers from weights without a classifier.
        dropout: dropout probability before the classifier.
    """
    if frames < PATCH_FRAMES or frames % PATCH_FRAMES or min(size, patch) < 1 or size % patch:
        raise ValueError(f"frames={frames} must be even, and size={size} a multiple of patch={patch}.")
    if min(width, depth, heads) < 1 or width % heads:
        raise ValueError(f"width={width} must be a multiple of heads={heads}, and depth={depth} at least 1.")
    transformers = library()
    config = transformers.VideoMAEConfig(
        num_frames=frames,
        tubelet_size=PATCH_FRAMES,
        image_size=size,
        patch_size=patch,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        use_mean_pooling=mean_pooling,
    )
    network = PooledPatches(transformers.VideoMAEModel(config), nn.LayerNorm(width) if mean_pooling else None)
    return ClipTransformer(
        network, width, num_classes, dropout=dropout, frames=frames, size=size, heads=heads, mean_pooling=mean_pooling
    )


class PooledPatches(nn.Module):
    """VideoMAE's transformer, and the norm of the mean of its patches, or the first of them.

    Shape: (N, 3, T, H, W) -> (N, width).
    """

    def __init__(self, network: Any, norm: nn.LayerNorm | None) -> None:
        super().__init__()
        self.network, self.norm = network, norm

    def forward(self, clip: Tensor) -> Tensor:
        """Clips -> features."""
        patches: Tensor = self.network(clip.transpose(1, 2)).last_hidden_state
        if self.norm is None:
            return patches[:, 0]
        pooled: Tensor = self.norm(patches.mean(dim=1))
        return pooled
