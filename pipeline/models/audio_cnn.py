"""Audio CNN: a 2D network sees the sound of a video, as the image that its log-mel spectrogram is.

Hershey et al.: "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017, arXiv:1609.09430. The spectrogram
has 64 bands from 50 to 8,000 Hz, of windows of 25 ms, 10 ms apart: 301 columns for 3 seconds.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pipeline.layers.backbone import build_backbone
from pipeline.layers.consensus import frame_linear
from pipeline.layers.log_mel import MelSpec
from pipeline.layers.spec_augment import SpecAugment

INPUT = MelSpec(rate=16_000, window=400, hop=160, fft=512, mels=64, low=50.0, high=8_000.0, mean=-5.0, std=4.0)


def build(
    num_classes: int,
    *,
    backbone: str = "resnet18",
    backbone_options: Mapping[str, Any] | None = None,
    dropout: float = 0.5,
    mask_bands: float = 0.2,
    mask_time: float = 0.2,
    pool_time: int = 1,
) -> nn.Module:
    """Audio CNN: spectrograms (N, 1, 64, T) -> logits (N, C).

    Args:
        num_classes: C.
        backbone: any network of timm; its first convolution takes one channel.
        backbone_options: options of timm, see `build_backbone`.
        dropout: dropout probability before the classifier.
        mask_bands: largest share of the bands that is blanked in training, see `SpecAugment`; 0: none.
        mask_time: the same of the time.
        pool_time: windows of the spectrogram whose mean is one column of the image, 1 or more. A network that halves
            bands and time alike sees a slow change of pitch as a level line unless its columns are as far apart.

    Raises:
        ValueError: an option is out of range.
    """
    if pool_time < 1:
        raise ValueError(f"pool_time={pool_time} is a number of windows, 1 or more.")
    network = build_backbone(backbone, **{**(backbone_options or {}), "in_chans": 1})
    return AudioCNN(network, num_classes, dropout, SpecAugment(mask_bands, mask_time), pool_time)


class AudioCNN(nn.Module):
    """Network of spectrograms of any length: a mean over bands and time goes to the classifier. See `build`.

    Shape: (N, 1, M, T) -> (N, C).
    """

    def __init__(
        self, backbone: nn.Module, num_classes: int, dropout: float, masks: SpecAugment, pool_time: int
    ) -> None:
        super().__init__()
        self.masks, self.backbone, self.dropout = masks, backbone, nn.Dropout(dropout)
        self.pool_time = pool_time  # no tensor shows it: a checkpoint is compared with it
        self.pool = nn.AvgPool2d((1, pool_time), ceil_mode=True)  # the last column may be of fewer windows
        self.classifier = frame_linear(backbone, num_classes)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Spectrograms (N, 1, M, T) -> logits (N, C)."""
        logits: Tensor = self.classifier(self.dropout(self.backbone(self.pool(self.masks(spectrograms)))))
        return logits
