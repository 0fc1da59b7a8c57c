"""Non-local blocks, in which every position of a clip looks at all others, near and far.

Wang et al.: "Non-local Neural Networks", CVPR 2018, arXiv:1711.07971. Two public forms differ in what the
paper leaves open: X-Temporal and TSM take `weighting="softmax", pool="after"`, PySlowFast takes
"scaled_softmax" or "dot_product" with `pool="before"`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

WEIGHTINGS = ("softmax", "scaled_softmax", "dot_product")
POOLS = ("before", "after", "none")


class NonLocal(nn.Module):
    """Non-local block: x + BN(out(y)), where y at each position is a weighted sum of g(x) over all positions.

    A position is a pixel of a frame. The weight of position q for position p grows with the product of
    theta(x)[p] and phi(x)[q]. The norm's scale and shift start at zero, so that a new block changes nothing.

    Shape: (N, C, T, H, W) -> the same; with `frames`, for a 2D network that sees the frames of all clips as
    one batch, clip after clip, (N*T, C, H, W) -> the same.

    Args:
        channels: C; theta, phi and g have half as many.
        weighting: weights of the positions looked at. "softmax" of the products, "scaled_softmax" of the products
            divided by the root of their length, or "dot_product", the product divided by the number of
            positions.
        pool: halve height and width of what is looked at: "before" phi and g, "after" them, or "none".
        frames: T where frames come as images; None where clips come.
    """

    def __init__(
        self, channels: int, *, weighting: str = "softmax", pool: str = "after", frames: int | None = None
    ) -> None:
        super().__init__()
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting={weighting!r} is none of {', '.join(WEIGHTINGS)}.")
        if pool not in POOLS:
            raise ValueError(f"pool={pool!r} is none of {', '.join(POOLS)}.")
        if channels < 2:
            raise ValueError(f"channels={channels}: half of them must be at least one.")
        self.weighting = weighting
        self.frames = frames
        inner = channels // 2
        self.theta = nn.Conv3d(channels, inner, kernel_size=1)
        self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.pool_before = nn.MaxPool3d((1, 2, 2)) if pool == "before" else nn.Identity()
        self.pool_after = nn.MaxPool3d((1, 2, 2)) if pool == "after" else nn.Identity()
        self.out = nn.Conv3d(inner, channels, kernel_size=1)
        self.bn = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add to every position what it gathers from all."""
        if self.frames is None:
            return x + self._gathered(x)
        clips = x.unflatten(0, (-1, self.frames)).transpose(1, 2)  # (N, C, T, H, W)
        return x + self._gathered(clips).transpose(1, 2).flatten(0, 1)

    def _gathered(self, x: Tensor) -> Tensor:
        """Features that each position gathers from all: (N, C, T, H, W) -> (N, C, T, H, W)."""
        seen = self.pool_before(x)
        theta = _as_rows(self.theta(x))  # (N, P, C/2), P = T * H * W positions that look
        phi = _as_rows(self.pool_after(self.phi(seen)))  # (N, Q, C/2), Q positions that are looked at
        g = _as_rows(self.pool_after(self.g(seen)))
        y = self._weighted(theta, phi, g)  # (N, P, C/2)
        gathered: Tensor = self.bn(self.out(y.mT.unflatten(2, x.shape[2:])))
        return gathered

    def _weighted(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        if self.weighting == "dot_product":
            # Products are associative: this order never makes the matrix of all (P, Q) pairs.
            return theta @ (phi.mT @ (g / g.shape[1]))
        scale = 1.0 if self.weighting == "softmax" else theta.shape[2] ** -0.5
        query, key, value = (rows.unsqueeze(1) for rows in (theta, phi, g))  # one head: fused kernels ask for heads
        return scaled_dot_product_attention(query, key, value, scale=scale).squeeze(1)

    def extra_repr(self) -> str:
        """Show in print(model) what the layers inside do not."""
        return f"weighting={self.weighting}, frames={self.frames}"


def append_non_local(network: nn.Module, stage: str, places: Iterable[int], make: Callable[[], NonLocal]) -> None:
    """Put a block of `make` behind residual blocks of `network`, which is changed in place.

    The names of such a residual block's parameters gain a word, `layer2.0.conv1.weight` becomes
    `layer2.0.block.conv1.weight`; the new block is `layer2.0.non_local`.

    Args:
        stage: name of a sequence of residual blocks.
        places: numbers of the residual blocks, from 0.
    """
    blocks: Any = getattr(network, stage, ())
    for place in places:
        if place >= len(blocks):
            raise ValueError(
                f"A non-local block goes behind block {place} of {stage}, but this network has {len(blocks)} "
                f"blocks there. Choose a deeper ResNet, or set `non_local: false`."
            )
        blocks[place] = nn.Sequential(OrderedDict(block=blocks[place], non_local=make()))


def _as_rows(x: Tensor) -> Tensor:
    """Positions as rows: (N, C, T, H, W) -> (N, T * H * W, C)."""
    return x.flatten(2).mT
