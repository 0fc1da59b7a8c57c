"""Log-mel spectrograms: sound as an image of how loud each band of frequencies is, over time.

Bands are triangles on the mel scale, mel(f) = 2595 log10(1 + f / 700), over the power of the Fourier transform of
windows of Hann. Two kinds differ in the rest:

    stft     windows around every `hop`, the sound reflected at both ends; triangles are straight over Hz, as HTK's;
             SILENCE is added to the power
    kaldi    windows that lie in the sound as a whole, each less its mean and with pre-emphasis; triangles are straight
             over mel; the power is FLOOR at least. So Kaldi's `fbank` has it, and the Audio Spectrogram Transformer
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

SILENCE = 1e-6
"""What is added to the power of a band before the logarithm; a full-scale sine has some 1e4."""
FLOOR = 2.0**-23
"""The least power of a band of the kind `kaldi`: float32's epsilon, as there."""
EMPHASIS = 0.97
"""Share of the sample before it that is taken off each sample of a window of the kind `kaldi`."""


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
    kind: Literal["stft", "kaldi"] = "stft"
    """How windows are cut and bands are shaped, see the head of this file."""
    columns: int | None = None
    """Number of columns of every image: later windows are cut off, and columns without a window are of log-loudness 0
    (before `mean` and `std`). None: as many as there are windows."""

    @classmethod
    def kaldi(cls, mels: int, columns: int, mean: float, std: float) -> Self:
        """What the Audio Spectrogram Transformer gets, of 16 kHz: windows of 25 ms, 10 ms apart, bands from 20 Hz."""
        return cls(16_000, 400, 160, 512, mels, 20.0, 8_000.0, mean, std, "kaldi", columns)

    def frames(self, samples: int) -> int:
        """Number of columns T of a sound of so many samples, of which the kind `kaldi` needs `window` at least."""
        if self.columns is not None:
            return self.columns
        return 1 + (samples // self.hop if self.kind == "stft" else (samples - self.window) // self.hop)


def log_mel(sounds: Tensor, spec: MelSpec) -> Tensor:
    """Sounds int16 (N, S) -> float32 (N, 1, mels, T), low bands first; whatever the precision around.

    S is more than `fft` / 2 samples, and of the kind `kaldi` no less than a window.
    """
    with torch.autocast(sounds.device.type, enabled=False):
        hann, bands = _constants(spec, sounds.device)
        waves = sounds.float() / 2**15
        if spec.kind == "stft":
            spectrum = torch.stft(waves, spec.fft, spec.hop, spec.window, hann, center=True, return_complex=True)
            loudness = torch.log(bands @ _power(spectrum) + SILENCE)
        else:
            spectrum = torch.fft.rfft(emphasised(waves.unfold(1, spec.window, spec.hop)) * hann, spec.fft)
            loudness = torch.log((bands @ _power(spectrum).transpose(1, 2)).clamp(min=FLOOR))
        if spec.columns is not None:
            loudness = pad(loudness[..., : spec.columns], (0, max(0, spec.columns - loudness.shape[-1])))
        return ((loudness - spec.mean) / spec.std)[:, None]


def emphasised(windows: Tensor) -> Tensor:
    """Windows (N, T, `window`) less their means, and each sample less EMPHASIS of the one before it."""
    centred = windows - windows.mean(dim=-1, keepdim=True)
    before = torch.cat([centred[..., :1], centred[..., :-1]], dim=-1)  # the first has itself
    return centred - EMPHASIS * before


def mel_bands(spec: MelSpec) -> Tensor:
    """The weights of frequencies in the bands, float64 (mels, fft / 2 + 1): triangles of height 1 that overlap."""
    low, high = (_mel(torch.tensor(hz, dtype=torch.float64)) for hz in (spec.low, spec.high))
    corners = low + (high - low) * torch.linspace(0, 1, spec.mels + 2, dtype=torch.float64)
    frequencies = torch.arange(spec.fft // 2 + 1, dtype=torch.float64) * spec.rate / spec.fft
    if spec.kind == "stft":
        corners = 700 * (10 ** (corners / 2595) - 1)
    else:
        frequencies = _mel(frequencies)
    below, centre, above = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (frequencies - below) / (centre - below), (above - frequencies) / (above - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def _mel(hz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hz / 700)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


@cache
def _constants(spec: MelSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """The Hann window and the bands, float32, copied to a device once."""
    hann = torch.hann_window(spec.window, periodic=spec.kind == "stft", device=device)
    return hann, mel_bands(spec).float().to(device)
