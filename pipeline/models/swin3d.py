"""Video Swin: a transformer whose attention stays within windows of space and time, which every second block shifts.

Liu et al.: "Video Swin Transformer", CVPR 2022, arXiv:2106.13230; the network is torchvision's own class.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d, SwinTransformer3d

from pipeline.layers.classifier import FeatureClassifier
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def build(
    num_classes: int,
    *,
    width: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    head_width: int = 32,
    window: Sequence[int] = (8, 7, 7),
    stochastic_depth: float = 0.1,
    dropout: float = 0.5,
) -> nn.Module:
    """Video Swin: clip (N, 3, T, H, W) -> logits (N, C), for clips of any size.

    The defaults are swin3d_t; swin3d_s has `depths` 2, 2, 18, 2, and swin3d_b `width` 128 besides.

    Args:
        num_classes: C.
        width: channels of the first stage, a multiple of `head_width`; each stage doubles them.
        depths: blocks of each stage.
        head_width: channels of a head of attention.
        window: patches of a window along time, height and width; a patch is 2 frames of 4 x 4 pixels.
        stochastic_depth: probability that the last block is skipped in training; it grows from 0 block by block.
        dropout: dropout probability before the classifier.
    """
    if min(width, head_width) < 1 or width % head_width:
        raise ValueError(f"width={width} must be a multiple of head_width={head_width}.")
    if len(window) != 3 or min(window) < 1:
        raise ValueError(f"window={list(window)} must be three lengths of at least 1: time, height and width.")
    if sum(depths) < 2 or min(depths) < 1:
        raise ValueError(f"depths={list(depths)} must be at least 1 each, and at least 2 together.")
    network = SwinTransformer3d(
        patch_size=[2, 4, 4],
        embed_dim=width,
        depths=list(depths),
        num_heads=[width * 2**stage // head_width for stage in range(len(depths))],
        window_size=list(window),
        stochastic_depth_prob=stochastic_depth,
    )
    network.head = nn.Identity()
    for module in network.modules():
        if isinstance(module, ShiftedWindowAttention3d):  # what follows from the window is no weight to be kept
            index = module.get_buffer("relative_position_index")
            del module.relative_position_index
            module.register_buffer("relative_position_index", index, persistent=False)
    return VideoSwin(network, network.num_features, num_classes, dropout=dropout, window=window)


class VideoSwin(FeatureClassifier):
    """Video Swin network, see `build`. It keeps `window`, of which tensors show a product, to compare a checkpoint."""

    def __init__(self, *arguments: Any, window: Sequence[int], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.window = list(window)
