"""Log-mel spectrograms: sound as an image of how loud each band of frequencies is, over time.

Bands are triangles on the mel scale as HTK has it, mel(f) = 2595 log10(1 + f / 700), over the power of a short-time
Fourier transform with a Hann window, which is padded by reflection at both ends.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

SILENCE = 1e-6
"""What is added to the power of a band before the logarithm; a full-scale sine has some 1e4."""


@dataclass(frozen=True)
class MelSpec:
    """Input that a model's weights expect: the log-mel spectrogram of sound in -1 .. 1, minus `mean`, by `std`."""

    rate: int
    """Samples a second."""
    window: int
    """Length of a window in samples."""
    hop: int
    """Samples from a window to the next."""
    fft: int
    """Points of the Fourier transform, at least `window`; windows are padded with zeros."""
    mels: int
    """Number of bands."""
    low: float
    """Lower end of the lowest band in Hz."""
    high: float
    """Upper end of the highest band in Hz, at most half of `rate`."""
    mean: float
    std: float

    def frames(self, samples: int) -> int:
        """Number of windows T in a sound of so many samples."""
        return 1 + samples // self.hop


def log_mel(sounds: Tensor, spec: MelSpec) -> Tensor:
    """Sounds int16 (N, S), S > fft / 2, -> float32 (N, 1, mels, T), low bands first; whatever the precision around."""
    with torch.autocast(sounds.device.type, enabled=False):
        hann, bands = _constants(spec, sounds.device)
        spectrum = torch.stft(
            sounds.float() / 2**15, spec.fft, spec.hop, spec.window, hann, center=True, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        loudness = torch.log(bands @ power + SILENCE)
        return ((loudness - spec.mean) / spec.std)[:, None]


def mel_bands(spec: MelSpec) -> Tensor:
    """The weights of frequencies in the bands, float64 (mels, fft / 2 + 1): triangles of height 1 that overlap."""
    low, high = (2595 * torch.log10(1 + torch.tensor(hz, dtype=torch.float64) / 700) for hz in (spec.low, spec.high))
    steps = torch.linspace(0, 1, spec.mels + 2, dtype=torch.float64)
    corners = 700 * (10 ** ((low + (high - low) * steps) / 2595) - 1)
    frequencies = torch.arange(spec.fft // 2 + 1, dtype=torch.float64) * spec.rate / spec.fft
    below, centre, above = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (frequencies - below) / (centre - below), (above - frequencies) / (above - centre)
    return torch.minimum(rising, falling).clamp(min=0)


@cache
def _constants(spec: MelSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """The Hann window and the bands, float32, copied to a device once."""
    return torch.hann_window(spec.window, device=device), mel_bands(spec).float().to(device)
