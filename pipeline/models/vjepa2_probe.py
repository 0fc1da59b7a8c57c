"""Probe of V-JEPA 2: what its frozen encoder says of the parts of a clip, computed once, and a head that reads that.

The encoder is that of pipeline/models/vjepa2.py, which trains the published pooler on clips instead.
"""

from torch import nn

from pipeline.layers import video_encoders
from pipeline.layers.frozen import Head
from pipeline.layers.normalize import InputSpec
from pipeline.layers.video_encoders import TUBELET, VideoProbe

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
    moments: int = 8,
    rows: int = 2,
    columns: int = 2,
    head: Head = "auto",
    pool_width: int = 256,
    pool_heads: int = 4,
) -> nn.Module:
    """Probe of V-JEPA 2: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are ViT-L, which has 8 x 16 x 16 patches, averaged over 8 x 2 x 2 cells.

    Args:
        num_classes: C.
        frames: T, even. Positions rotate what they stand for, so weights of any number serve.
        size: H and W in pixels, a multiple of `patch`.
        patch: side of a patch in pixels; it has two frames.
        width: channels, a multiple of `heads`.
        depth: blocks of the encoder.
        heads: heads of attention in each block of the encoder.
        moments: cells along time, a divisor of `frames` / 2. What is stored of a video is as large as all cells
            together.
        rows: cells from top to bottom, a divisor of `size` / `patch`.
        columns: cells from left to right, likewise.
        head: `attentive` has a learned query that looks at all cells; `linear` reads their mean over the moments and
            how they change, as the probe does; `auto` is the one that a cross-validation finds better.
        pool_width: numbers that the attentive head projects a cell to, a multiple of `pool_heads`.
        pool_heads: heads of its attention.
    """
    theirs = video_encoders.vjepa2(
        frames=frames, size=size, patch=patch, width=width, depth=depth, heads=heads, pooler_depth=0
    )
    return VideoProbe(
        theirs.vjepa2.encoder, num_classes, frames=frames, size=size,
        patches=(frames // TUBELET, size // patch, size // patch), grid=(moments, rows, columns), channels=width,
        heads=heads, head=head, pool_width=pool_width, pool_heads=pool_heads,
    )  # fmt: skip
