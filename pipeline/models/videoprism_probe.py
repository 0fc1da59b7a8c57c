"""Probe of VideoPrism: what its frozen encoder says of the parts of a clip, computed once, and a head that reads that.

The encoder is that of pipeline/models/videoprism.py, which trains the published head on clips instead.
"""

from torch import nn

from pipeline.layers import video_encoders
from pipeline.layers.frozen import Head
from pipeline.layers.normalize import InputSpec
from pipeline.layers.video_encoders import VideoProbe

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
    moments: int = 8,
    rows: int = 2,
    columns: int = 2,
    head: Head = "auto",
    pool_width: int = 256,
    pool_heads: int = 4,
) -> nn.Module:
    """Probe of VideoPrism: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are VideoPrism-B, which has 16 x 16 x 16 patches, averaged over 8 x 2 x 2 cells.

    Args:
        num_classes: C.
        frames: T.
        size: H and W in pixels, a multiple of `patch`.
        patch: side of a patch in pixels.
        width: channels, a multiple of `heads`.
        depth: blocks over the patches of a frame.
        temporal_depth: blocks over the frames at the place of a patch.
        heads: heads of attention in each block of the encoder.
        moments: cells along time, a divisor of `frames`. What is stored of a video is as large as all cells together.
        rows: cells from top to bottom, a divisor of `size` / `patch`.
        columns: cells from left to right, likewise.
        head: `attentive` has a learned query that looks at all cells; `linear` reads their mean over the moments and
            how they change, as the probe does; `auto` is the one that a cross-validation finds better.
        pool_width: numbers that the attentive head projects a cell to, a multiple of `pool_heads`.
        pool_heads: heads of its attention.
    """
    theirs = video_encoders.videoprism(
        frames=frames, size=size, patch=patch, width=width, depth=depth, temporal_depth=temporal_depth, heads=heads
    )
    return VideoProbe(
        theirs.vision_model, num_classes, frames=frames, size=size,
        patches=(frames, size // patch, size // patch), grid=(moments, rows, columns), channels=width, heads=heads,
        head=head, pool_width=pool_width, pool_heads=pool_heads,
    )  # fmt: skip
