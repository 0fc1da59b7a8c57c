"""MViTv2: a transformer whose patches become fewer, and their channels more, stage by stage.

Li et al.: "MViTv2: Improved Multiscale Vision Transformers", CVPR 2022, arXiv:2112.01526; the network is torchvision's
own class. Its tables of relative positions have the size of the clip, so it takes clips of one size alone.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torchvision.models.video.mvit import MSBlockConfig, MViT

from pipeline.layers.classifier import FeatureClassifier
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))  # of PySlowFast's weights

PATCH = (2, 4, 4)
"""Frames, rows and columns from one patch to the next."""


def build(
    num_classes: int,
    *,
    frames: int = 16,
    size: int = 224,
    width: int = 96,
    depths: Sequence[int] = (1, 2, 11, 2),
    stochastic_depth: float = 0.2,
    dropout: float = 0.5,
) -> nn.Module:
    """MViTv2: clip (N, 3, T, H, W) with T = `frames` and H = W = `size` -> logits (N, C).

    The defaults are mvit_v2_s.

    Args:
        num_classes: C.
        frames: T, even.
        size: H and W in pixels, a multiple of 4 that each stage but the first can halve (224: of 32).
        width: channels of the first stage, which has one head of attention; each stage doubles both.
        depths: blocks of each stage.
        stochastic_depth: probability that the last block is skipped in training; it grows from 0 block by block.
        dropout: dropout probability before the classifier.
    """
    step = PATCH[1] * 2 ** (len(depths) - 1)
    if frames < 2 or frames % PATCH[0] or size < step or size % step:
        raise ValueError(f"frames={frames} must be even, and size={size} a multiple of {step}.")
    if width < 1 or sum(depths) < 2 or min(depths) < 1:
        raise ValueError(f"width={width} and each of depths={list(depths)} must be at least 1, and two blocks in all.")
    network = MViT(
        spatial_size=(size, size),
        temporal_size=frames,
        block_setting=list(_blocks(width, depths)),
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
        stochastic_depth_prob=stochastic_depth,
    )
    return MultiscaleTransformer(network, width * 2 ** (len(depths) - 1), num_classes, dropout, (frames, size))


def _blocks(width: int, depths: Sequence[int]) -> Iterator[MSBlockConfig]:
    """Settings of the blocks: the first of each stage but the first halves height and width, and doubles the channels.

    Keys and values are pooled to the size that queries have in the last stage.
    """
    for stage, depth in enumerate(depths):
        channels, pooled = width * 2**stage, 2 ** (len(depths) - 1 - stage)
        for block in range(depth):
            first = stage > 0 and block == 0
            yield MSBlockConfig(
                num_heads=2**stage,
                input_channels=channels // 2 if first else channels,
                output_channels=channels,
                kernel_q=[3, 3, 3],
                kernel_kv=[3, 3, 3],
                stride_q=[1, 2, 2] if first else [1, 1, 1],
                stride_kv=[1, pooled, pooled],
            )


class MultiscaleTransformer(FeatureClassifier):
    """MViTv2 network, see `build`.

    Args:
        takes: frames and pixels of a side of the clips that it is built for.
    """

    def __init__(self, network: MViT, channels: int, num_classes: int, dropout: float, takes: tuple[int, int]) -> None:
        super().__init__(network, channels, num_classes, dropout=dropout)
        self.frames, self.size = takes
        network.head = nn.Identity()
        last = network.blocks[-1].get_submodule("attn")
        for name, parameter in last.named_parameters():  # of patches, while only the class token is read behind them
            if name.startswith("rel_pos_") or name == "pool_q.pool.weight":
                parameter.requires_grad_(False)

    def features(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> what the class token has seen (N, channels)."""
        frames, height, width = clip.shape[2:]
        if (frames, height, width) != (self.frames, self.size, self.size):
            raise ValueError(
                f"The clip has {frames} frames of {height} x {width} pixels, but the network's tables of positions are "
                f"built for {self.frames} of {self.size} x {self.size}. Draw clips of {self.frames} frames, with "
                f"`crop: {self.size}` in clip, train.augment and test, or build and train the model with its options "
                f"`frames: {frames}` and `size: {height}`."
            )
        return super().features(clip)
