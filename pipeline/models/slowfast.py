"""SlowFast: a wide network on few frames, fed by a narrow one on many.

Feichtenhofer et al.: "SlowFast Networks for Video Recognition", ICCV 2019, arXiv:1812.03982. The defaults are
those of X-Temporal, the report's own release. PySlowFast's 8x8 ResNet-50 is `fusion_kernel: 7`,
`fusion_norm: true`, `slow_frames: linspace`, `head_bias: true`; its 101 has `fusion_kernel: 5`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from pipeline.layers.normalize import InputSpec
from pipeline.layers.resnet3d import Pathway, blocks_of_depth, spatial_pool

INPUT = InputSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # PySlowFast has 0.45 and 0.225

SLOW_KERNELS_T = ((1, 1), (1, 1), (3, 1), (3, 1))  # the slow path looks along time only in its last two stages
FAST_KERNELS_T = ((3, 1),) * 4
SLOW_FRAMES = ("strided", "linspace")


def build(
    num_classes: int,
    *,
    depth: int = 50,
    alpha: int = 4,
    beta_inv: int = 8,
    fusion_kernel: int = 5,
    fusion_norm: bool = False,
    slow_frames: str = "strided",
    head_bias: bool = False,
    dropout: float = 0.5,
    width: int = 64,
    blocks: Sequence[int] | None = None,
    block: str = "bottleneck",
) -> nn.Module:
    """SlowFast: clip (N, 3, T, H, W), T a multiple of `alpha`, -> logits (N, C).

    T is the number of frames of the fast path, 32 in the 8x8 network; the same weights take any such T. All
    layers start at torch's defaults, as in X-Temporal.

    Args:
        num_classes: C.
        depth: 50, 101, 152 or 200.
        alpha: ratio of the frame rates; the slow path sees T / `alpha` frames.
        beta_inv: ratio of the channels; the fast path has 1 / `beta_inv` of the slow path's.
        fusion_kernel: length in fast frames of the convolutions from the fast path to the slow one; odd.
        fusion_norm: whether batch norm and ReLU follow these convolutions.
        slow_frames: "strided" takes frames 0, `alpha`, 2 * `alpha`, ...; "linspace" spreads as many evenly
            from the first to the last frame.
        head_bias: whether the classifier has a bias.
        dropout: dropout probability before the classifier.
        width: channels of the slow path's stem.
        blocks: residual blocks in each of the four stages, instead of those that `depth` stands for.
        block: "bottleneck" or, for small networks, "basic".
    """
    if slow_frames not in SLOW_FRAMES:
        raise ValueError(f"slow_frames={slow_frames!r} is none of {', '.join(SLOW_FRAMES)}.")
    if alpha < 1 or beta_inv < 1:
        raise ValueError(f"alpha={alpha} and beta_inv={beta_inv} must be at least 1.")
    if width % beta_inv:
        raise ValueError(f"width={width} must be a multiple of beta_inv={beta_inv} (the fast path).")
    if fusion_kernel < 1 or fusion_kernel % 2 == 0:
        raise ValueError(f"fusion_kernel={fusion_kernel} must be positive and odd, or the two paths would not line up.")
    path = partial(Pathway, blocks=blocks_of_depth(depth) if blocks is None else blocks, block=block)
    fast = path(width // beta_inv, stem_t=5, kernels_t=FAST_KERNELS_T, pool=spatial_pool())
    feeding = fast.channels[:-1]  # after the stem and after every stage but the last
    slow = path(width, stem_t=1, kernels_t=SLOW_KERNELS_T, pool=spatial_pool(), joining=[2 * n for n in feeding])
    laterals = [_lateral(channels, fusion_kernel, alpha, fusion_norm) for channels in feeding]
    classifier = nn.Linear(slow.channels[-1] + fast.channels[-1], num_classes, bias=head_bias)
    return SlowFast(slow, fast, laterals, classifier, alpha=alpha, slow_frames=slow_frames, dropout=dropout)


class SlowFast(nn.Module):
    """Network of two pathways; before each stage of the slow one the fast one's channels join it. See `build`.

    Shape: (N, 3, T, H, W) -> (N, C).
    """

    def __init__(
        self,
        slow: Pathway,
        fast: Pathway,
        laterals: Sequence[nn.Module],
        classifier: nn.Linear,
        *,
        alpha: int,
        slow_frames: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.slow_frames = slow_frames
        self.slow = slow
        self.fast = fast
        self.laterals = nn.ModuleList(laterals)
        self.dropout = nn.Dropout(dropout)
        self.classifier = classifier

    def forward(self, clip: Tensor) -> Tensor:
        """Clips (N, 3, T, H, W) -> logits (N, C)."""
        slow = self.slow.stem(self._draw_slow(clip))  # (N, width, T / alpha, H / 4, W / 4)
        fast = self.fast.stem(clip)  # (N, width / beta_inv, T, H / 4, W / 4)
        for lateral, stage, fast_stage in zip(self.laterals, self.slow.stages, self.fast.stages, strict=True):
            slow = stage(torch.cat([slow, lateral(fast)], dim=1))
            fast = fast_stage(fast)
        features = torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def _draw_slow(self, clip: Tensor) -> Tensor:
        """Frames of the slow path: (N, 3, T, H, W) -> (N, 3, T / alpha, H, W)."""
        frames = clip.shape[2]
        if frames % self.alpha:
            fitting = max(frames // self.alpha, 1) * self.alpha
            raise ValueError(
                f"The clip has {frames} frames, which is no multiple of alpha={self.alpha}, the ratio of the "
                f"two paths. Draw clips of {fitting} or {fitting + self.alpha} frames."
            )
        if self.slow_frames == "strided":
            return clip[:, :, :: self.alpha]
        count = frames // self.alpha
        # Whole numbers: floating-point steps could fall short of a frame's number on some device.
        return clip[:, :, torch.arange(count, device=clip.device) * (frames - 1) // max(count - 1, 1)]


def _lateral(channels: int, kernel: int, alpha: int, norm: bool) -> nn.Sequential:
    """Connection from the fast path to the slow one: (N, C, T, H, W) -> (N, 2C, T / alpha, H, W)."""
    conv = nn.Conv3d(channels, 2 * channels, (kernel, 1, 1), (alpha, 1, 1), (kernel // 2, 0, 0), bias=False)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if norm:
        layers |= {"bn": nn.BatchNorm3d(2 * channels), "relu": nn.ReLU(inplace=True)}
    return nn.Sequential(layers)
