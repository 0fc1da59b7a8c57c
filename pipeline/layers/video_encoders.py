"""Encoders of videos, classes of transformers, of which each serves two models here.

One trains the head that the authors publish, on clips (pipeline/models/videoprism.py, vjepa2.py); the other a head of
ours on what the encoder says of the parts of a clip, which is computed once (videoprism_probe.py, vjepa2_probe.py).
"""

from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline.layers.frozen import FrozenTokens, Head
from pipeline.layers.hugging_face import FrozenEncoder, library, require_size

TUBELET = 2
"""Frames of a patch of V-JEPA 2; one of VideoPrism has one."""


def videoprism(
    *, frames: int, size: int, patch: int, width: int, depth: int, temporal_depth: int, heads: int
) -> Any:  # fmt: skip
    """VideoPrism for classification, with random weights; the arguments are those of pipeline/models/videoprism.py.

    Raises:
        ValueError: there is no such network.
        UserError: transformers is missing.
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
    return transformers.VideoPrismForVideoClassification(config)


def vjepa2(*, frames: int, size: int, patch: int, width: int, depth: int, heads: int, pooler_depth: int) -> Any:
    """V-JEPA 2 for classification, with random weights; the arguments are those of pipeline/models/vjepa2.py.

    Raises:
        ValueError: there is no such network.
        UserError: transformers is missing.
    """
    if frames < TUBELET or frames % TUBELET or min(size, patch) < 1 or size % patch:
        raise ValueError(f"frames={frames} must be even, and size={size} a multiple of patch={patch}.")
    if min(width, depth, heads) < 1 or width % heads or pooler_depth < 0:
        raise ValueError(
            f"width={width} must be a multiple of heads={heads}, depth={depth} at least 1, and "
            f"pooler_depth={pooler_depth} at least 0."
        )
    transformers = library()
    config = transformers.VJEPA2Config(
        frames_per_clip=frames,
        tubelet_size=TUBELET,
        crop_size=size,
        patch_size=patch,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        num_pooler_layers=pooler_depth,
        pred_num_hidden_layers=1,  # it is made, and left out
    )
    return transformers.VJEPA2ForVideoClassification(config)


class VideoProbe(FrozenTokens):
    """Frozen encoder of videos, whose patches are averaged over the cells of a grid, and a head that reads the cells.

    Shape: (N, 3, T, H, W) with T = `frames` and H = W = `size` -> (N, C). The tokens of a moment are its cells row by
    row.

    Args:
        encoder: network of transformers, see FrozenEncoder.
        num_classes: C.
        frames: T.
        size: H and W in pixels.
        patches: of the encoder along time, height and width.
        grid: cells along time, height and width, each a divisor of the patches.
        channels: numbers that the encoder says of a patch.
        heads: of the encoder's attention.
        head: see FrozenTokens.
        pool_width: `width` there.
        pool_heads: `heads` there.
    """

    HEAD_OPTIONS: ClassVar[tuple[str, ...]] = ("head", "pool_width", "pool_heads")

    def __init__(
        self, encoder: nn.Module, num_classes: int, *, frames: int, size: int, patches: tuple[int, int, int],
        grid: tuple[int, int, int], channels: int, heads: int, head: Head, pool_width: int, pool_heads: int,
    ) -> None:  # fmt: skip
        if any(cells < 1 or there % cells for there, cells in zip(patches, grid, strict=True)):
            named = ", ".join(
                f"{name}={cells}" for name, cells in zip(("moments", "rows", "columns"), grid, strict=True)
            )
            raise ValueError(f"{named} must divide the {' x '.join(map(str, patches))} patches of a clip.")
        super().__init__(
            FrozenEncoder(encoder, nn.Identity()), num_classes, frames=frames, moments=grid[0],
            tokens=grid[1] * grid[2], channels=channels, head=head, width=pool_width, heads=pool_heads,
        )  # fmt: skip
        self.size, self.heads, self.pool_heads = size, heads, pool_heads if self.attentive else None
        _, self.rows, self.columns = grid
        self.cells = tuple(of for there, cells in zip(patches, grid, strict=True) for of in (cells, there // cells))

    def features(self, clip: Tensor) -> Tensor:
        """What the head reads of clips (N, 3, T, H, W): float32 (N, D)."""
        require_size(clip, self.frames, self.size)
        patches: Tensor = self.backbone(clip).float()
        cells: Tensor = patches.unflatten(1, self.cells).mean(dim=(2, 4, 6))
        return cells.flatten(1)
