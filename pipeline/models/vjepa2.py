"""V-JEPA 2: a frozen encoder that has learnt to foretell what is hidden of a video, and a pooler that learns.

Assran et al.: "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning", 2025,
arXiv:2506.09985; encoder and pooler are transformers' own classes. The predictor of its pretraining is left out.
"""

from torch import nn

from pipeline.layers import video_encoders
from pipeline.layers.hugging_face import ClipTransformer, FrozenEncoder
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the published weights
EXTRA = "hf"
PACKAGES = ("transformers",)


def build(
    num_classes: int,
    *,
    frames: int = 16,
    size: int = 256,
    patch: int = 16,
    width: int = 1024,
    depth: int = 24,
    heads: int = 16,
    pooler_depth: int = 3,
    dropout: float = 0.0,
) -> nn.Module:
    """V-JEPA 2: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are ViT-L.

    Args:
        num_classes: C.
        frames: T, even. Positions rotate what they stand for, so weights of any number serve.
        size: H and W in pixels, a multiple of `patch`.
        patch: side of a patch in pixels; it has two frames.
        width: channels, a multiple of `heads`.
        depth: blocks of the encoder.
        heads: heads of attention in each block, of the pooler as well.
        pooler_depth: blocks of the pooler in front of its attention from one learnt query.
        dropout: dropout probability before the classifier.
    """
    theirs = video_encoders.vjepa2(
        frames=frames, size=size, patch=patch, width=width, depth=depth, heads=heads, pooler_depth=pooler_depth
    )
    network = FrozenEncoder(theirs.vjepa2.encoder, theirs.pooler)
    return ClipTransformer(network, width, num_classes, dropout=dropout, frames=frames, size=size, heads=heads)
