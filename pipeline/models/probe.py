"""Probe: a frozen image network describes the frames, and one linear layer reads what it says of them, in their order.

A few hundred videos are too few to teach a network to see, and enough to teach a linear layer what to look for. What
the layer reads are the frames' feature maps of two scales, averaged over the cells of a grid: their mean over the
frames, which tells what is there, and how they change along time. Changes are given as a cosine transform along the
frames, whose term k (half a period a clip) is divided by 1 + k: slow changes, which many videos share, weigh more in
the squared norm that keeps the layer's weights small.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.layers.backbone import build_backbone
from pipeline.layers.frozen import Frozen, slow_changes
from pipeline.layers.normalize import InputSpec

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # of the ImageNet weights

SCALES = 2
"""Number of the backbone's last feature maps of different resolutions that are read."""


def build(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_options: Mapping[str, Any] | None = None,
    frames: int = 16,
    rows: int = 3,
    columns: int = 4,
) -> nn.Module:
    """Probe: clip (N, 3, T, H, W) with T = `frames` -> logits (N, C).

    Args:
        num_classes: C.
        backbone: a network of timm that gives its feature maps (`forward_intermediates`). It is never trained.
        backbone_options: options of timm, see `build_backbone`.
        frames: T, at least 2.
        rows: cells of the grid from top to bottom.
        columns: cells of the grid from left to right.
    """
    if frames < 2 or min(rows, columns) < 1:
        raise ValueError(f"frames={frames} must be at least 2, and rows={rows} and columns={columns} at least 1.")
    network = build_backbone(backbone, **(backbone_options or {}))
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(f"Backbone {backbone!r} does not give its feature maps. Take another one of timm.")
    return Probe(network, num_classes, frames, (rows, columns))


class Probe(Frozen):
    """Frozen network, and a linear layer on what it says. See `build`.

    Shape: (N, 3, T, H, W) -> (N, C).
    """

    changes: Tensor

    def __init__(self, backbone: nn.Module, num_classes: int, frames: int, grid: tuple[int, int]) -> None:
        super().__init__(backbone, frames)
        self.grid = grid
        self.rows, self.columns = grid  # tensors show no more than their product: a checkpoint is compared with them
        info: Any = backbone.feature_info
        cells = [int(scale["num_chs"]) * grid[0] * grid[1] for scale in info[-SCALES:]]
        self.sizes = tuple(size for each in cells for size in (each, each * (frames - 1)))
        self.register_buffer("changes", slow_changes(frames), persistent=False)
        self.classifier = nn.Linear(sum(self.sizes), num_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def features(self, clip: Tensor) -> Tensor:
        """What the linear layer reads of clips (N, 3, T, H, W): float32 (N, D), in parts of `sizes`.

        Scale by scale, first the means over the frames, then the changes.
        """
        images = self.images(clip)
        backbone: Any = self.backbone
        with torch.no_grad():
            maps = backbone.forward_intermediates(images, indices=SCALES, intermediates_only=True)
            parts = []
            for scale in maps:
                cells = F.adaptive_avg_pool2d(scale.float(), self.grid).flatten(1).unflatten(0, (-1, self.frames))
                parts += [cells.mean(dim=1), (self.changes @ cells).flatten(1)]
            return torch.cat(parts, dim=1)
