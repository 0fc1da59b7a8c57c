"""mixup and cutmix: blends of the clips of a batch, whose labels are blended in the same shares.

Zhang et al.: "mixup", ICLR 2018, arXiv:1710.09412; Yun et al.: "CutMix", ICCV 2019, arXiv:1905.04899. Each clip is
blended with the one before it in the batch. The labels of several classes are many-hot rows, which blend like one-hot
ones: a target becomes the share of the clip, in 0..1, that shows the class. The loss must take such targets. Where one
of the two is not known (-1), neither is the blend.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from pipeline.core import params


@dataclass(frozen=True)
class MixConfig:
    """Section `models.<name>.train.mix` of params.yaml. With both, each batch takes one of them at random."""

    mixup: float = 0.0
    """Parameter of the Beta distribution that the share is drawn from; 0: off."""
    cutmix: float = 0.0
    """As above; the share is of the frame's area, cut out of all frames alike."""

    @property
    def on(self) -> bool:
        """Whether anything is blended."""
        return self.mixup > 0 or self.cutmix > 0

    def __post_init__(self) -> None:
        possible = 0 <= self.mixup < math.inf and 0 <= self.cutmix < math.inf
        params.require((possible, "mixup and cutmix are parameters of a Beta distribution, or 0: finite, not negative"))


def mix(clips: Tensor, targets: Tensor, config: MixConfig) -> tuple[Tensor, Tensor]:
    """Clips (N, 3, T, H, W), or spectrograms (N, 1, M, T), and targets (N, C) -> the same shapes, blended.

    It draws from torch's generator of the CPU.
    """
    if not config.on:
        return clips, targets
    classes = targets.shape[1]
    ways: list[v2.Transform] = []
    if config.mixup:
        ways.append(v2.MixUp(alpha=config.mixup, num_classes=classes))
    if config.cutmix:
        ways.append(v2.CutMix(alpha=config.cutmix, num_classes=classes))
    way = ways[int(torch.randint(len(ways), ()))]
    images = tv_tensors.Video(clips) if clips.ndim == 5 else tv_tensors.Image(clips)
    blended, shares = way(images, targets)
    unknown = targets < 0
    return blended.as_subclass(Tensor), shares.masked_fill(unknown | unknown.roll(1, 0), -1)
