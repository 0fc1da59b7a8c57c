"""SpecAugment: bands and spans of a spectrogram are blanked in training (Park et al., arXiv:1904.08779)."""

import torch
from torch import Tensor, nn


class SpecAugment(nn.Module):
    """Blank one run of bands and one span of time of each spectrogram, with 0, the mean of what the network gets.

    Both lengths are drawn evenly from 0 to the largest, the places as well. Nothing is done in eval mode.

    Shape: (N, 1, M, T) -> the same.

    Args:
        bands: largest share of the bands that is blanked, 0 .. 1.
        time: largest share of the time.
    """

    def __init__(self, bands: float, time: float) -> None:
        super().__init__()
        if not (0 <= bands <= 1 and 0 <= time <= 1):
            raise ValueError(f"mask_bands={bands} and mask_time={time} are shares, 0 .. 1.")
        self.shares = {2: bands, 3: time}

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Spectrograms with blanks, in training."""
        if not self.training:
            return spectrograms
        for axis, share in self.shares.items():
            size, (length, place) = spectrograms.shape[axis], torch.rand(2, len(spectrograms), 1)
            width = (length * (share * size + 1)).floor().clamp(max=size)
            start = (place * (size - width + 1)).floor()
            steps = torch.arange(size)
            blank = ((steps >= start) & (steps < start + width)).to(spectrograms.device)
            shape = [len(spectrograms), 1, 1, 1]
            shape[axis] = size
            spectrograms = spectrograms.masked_fill(blank.view(shape), 0.0)
        return spectrograms
