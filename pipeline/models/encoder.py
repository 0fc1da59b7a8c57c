"""Encoder: a frozen image encoder of timm describes each frame, and a linear or an attentive head reads all of them.

Image encoders that were trained on hundreds of millions of pictures (SigLIP 2, PE-Core, DINOv3, DINOv2) say more of a
frame than a network that a few thousand clips have taught. What a head reads of a frame is what the encoder pools, as
timm gives it, and the means of its last map over the cells of a grid, where that is asked for.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.layers.backbone import build_backbone, feature_width
from pipeline.layers.frozen import FrozenTokens, Head
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # of SigLIP 2 and PE-Core; timm says that of each encoder


def build(
    num_classes: int,
    *,
    backbone: str = "vit_base_patch16_siglip_224.v2_webli",
    backbone_options: Mapping[str, Any] | None = None,
    size: int = 224,
    frames: int = 8,
    rows: int = 0,
    columns: int = 0,
    head: Head = "auto",
    width: int = 256,
    heads: int = 4,
) -> nn.Module:
    """Encoder: clip (N, 3, T, H, W) with T = `frames` -> logits (N, C).

    Args:
        num_classes: C.
        backbone: any network of timm, with the tag of its weights where there are several. It is never trained.
        backbone_options: options of timm, see `build_backbone`; {dynamic_img_size: true} lets a vision transformer see
            another size than that of its weights.
        size: side of the pictures, in pixels; that of the weights, unless the network takes others.
        frames: T, at least 2.
        rows: cells of the grid from top to bottom; 0: only what the encoder pools.
        columns: cells of the grid from left to right, 0 where `rows` is.
        head: `linear` reads the mean over the frames and how they change, as the probe does; `attentive` has a learned
            query that looks at all frames and cells; `auto` is the one that a cross-validation finds better.
        width: numbers that the attentive head projects each frame or cell to.
        heads: of its attention, a divisor of `width`.
    """
    if frames < 2 or min(rows, columns) < 0 or (rows > 0) != (columns > 0):
        raise ValueError(
            f"frames={frames} must be at least 2, and rows={rows} and columns={columns} both 0 or both at least 1."
        )
    network = build_backbone(backbone, **(backbone_options or {}))
    _check_size(network, backbone, backbone_options or {}, size)
    return Encoder(network, num_classes, frames, (rows, columns), head, width, heads)


class Encoder(FrozenTokens):
    """Frozen image encoder with a head. See `build`.

    Shape: (N, 3, T, H, W) -> (N, C). Of each frame the tokens are what the encoder pools, and then the cells of the
    grid row by row.
    """

    HEAD_OPTIONS: ClassVar[tuple[str, ...]] = ("head", "width", "heads")

    def __init__(
        self, backbone: nn.Module, num_classes: int, frames: int, grid: tuple[int, int], head: Head, width: int,
        heads: int,
    ) -> None:  # fmt: skip
        super().__init__(
            backbone, num_classes, frames=frames, moments=frames, tokens=1 + grid[0] * grid[1],
            channels=feature_width(backbone), head=head, width=width, heads=heads,
        )  # fmt: skip
        self.grid, self.heads = grid, heads if self.attentive else None
        self.rows, self.columns = grid  # tensors show no more than their product: a checkpoint is compared with them

    def features(self, clip: Tensor) -> Tensor:
        """What the head reads of clips (N, 3, T, H, W): float32 (N, D)."""
        with torch.no_grad():
            tokens = self._tokens(self.images(clip)).float()
            features: Tensor = tokens.unflatten(0, (-1, self.frames)).flatten(1)
        return features

    def _tokens(self, images: Tensor) -> Tensor:
        """Images (M, 3, H, W) -> (M, 1 + cells, width)."""
        backbone: Any = self.backbone
        if not all(self.grid):
            pooled: Tensor = backbone(images)
            return pooled.unsqueeze(1)
        last, (mapped,) = backbone.forward_intermediates(images, indices=1, norm=True)
        cells = F.adaptive_avg_pool2d(mapped, self.grid).flatten(2).transpose(1, 2)
        if cells.shape[-1] != self.channels:
            raise ValueError(
                f"The last map has {cells.shape[-1]} channels, and {self.channels} features are pooled. Take "
                "another backbone, or rows=0 and columns=0."
            )
        return torch.cat([backbone.forward_head(last).unsqueeze(1), cells], dim=1)


def _check_size(network: Any, backbone: str, options: Mapping[str, Any], size: int) -> None:
    """Refuse a size that is not that of the weights, where the network takes no other."""
    config = network.pretrained_cfg
    sides, fixed = set(config["input_size"][1:]), config.get("fixed_input_size") and not options.get("dynamic_img_size")
    if fixed and sides != {size}:
        raise ValueError(
            f"size={size}, but the weights of {backbone!r} expect {' x '.join(map(str, config['input_size'][1:]))} "
            "pixels. Set that, or backbone_options: {dynamic_img_size: true} where the network has it."
        )
