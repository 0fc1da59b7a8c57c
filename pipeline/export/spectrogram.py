"""The log-mel image of `layers/log_mel.py` inside a graph: sums of products of real numbers, which every runtime has.

Windows are gathered, and a Fourier transform is a product with its cosines and sines; all is in double precision.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pipeline.layers.log_mel import FLOOR, SILENCE, MelSpec, emphasised, mel_bands
from pipeline.layers.normalize import normalize


class HeardNetwork(nn.Module):
    """Network that hears, with the image that it takes before it: what is trained, and what a graph is held to.

    Shape: sounds int16 (N, S) -> (N, C).
    """

    def __init__(self, network: nn.Module, spec: MelSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds -> logits."""
        logits: Tensor = self.network(normalize(sounds, self.spec))
        return logits


class SoundGraph(nn.Module):
    """The same as a graph has it. Shape: sounds int16 (N, `samples`) -> (N, C)."""

    def __init__(self, network: nn.Module, spec: MelSpec, samples: int) -> None:
        super().__init__()
        self.image, self.network = LogMel(spec, samples), network

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds -> logits."""
        logits: Tensor = self.network(self.image(sounds))
        return logits


class LogMel(nn.Module):
    """Sounds int16 (N, `samples`) -> their images, float32 (N, 1, mels, T), as `log_mel` makes them."""

    places: Tensor
    transform: Tensor
    bands: Tensor

    def __init__(self, spec: MelSpec, samples: int) -> None:
        super().__init__()
        places = _places(spec, samples)
        self.spec, self.windows = spec, len(places)
        self.register_buffer("places", places.flatten())
        self.register_buffer("transform", _transform(spec))
        self.register_buffer("bands", mel_bands(spec).T.contiguous())

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds -> images."""
        spec = self.spec
        waves = (sounds.double() / 2**15).index_select(1, self.places)
        parts = waves.unflatten(1, (self.windows, spec.window)) @ self.transform
        half = self.transform.shape[1] // 2
        power = parts[..., :half].square() + parts[..., half:].square()
        bands = power @ self.bands  # (N, T, mels)
        loudness = (bands + SILENCE).log() if spec.kind == "stft" else bands.clamp(min=FLOOR).log()
        if spec.columns is not None and spec.columns > self.windows:
            loudness = pad(loudness, (0, 0, 0, spec.columns - self.windows))
        images: Tensor = ((loudness - spec.mean) / spec.std).transpose(1, 2).unsqueeze(1).float()
        return images


def _places(spec: MelSpec, samples: int) -> Tensor:
    """The samples of each window, (T, window); those before the first and behind the last are reflected."""
    if spec.kind == "stft":
        first, windows = (spec.fft - spec.window) // 2 - spec.fft // 2, 1 + samples // spec.hop
    else:
        first, windows = 0, 1 + (samples - spec.window) // spec.hop
    starts = first + spec.hop * torch.arange(windows)[: spec.columns]
    places = (starts[:, None] + torch.arange(spec.window)).abs()
    return torch.where(places < samples, places, 2 * (samples - 1) - places)


def _transform(spec: MelSpec) -> Tensor:
    """What a window is multiplied by: Hann's weights, then cosines and sines; float64 (window, 2 x (fft / 2 + 1))."""
    samples, turns = torch.arange(spec.window), torch.arange(spec.fft // 2 + 1)
    angles = 2 * math.pi / spec.fft * (samples[:, None] * turns).double()
    hann = torch.hann_window(spec.window, periodic=spec.kind == "stft", dtype=torch.float64)
    waves = hann[:, None] * torch.cat([angles.cos(), angles.sin()], dim=1)
    whole = torch.eye(spec.window, dtype=torch.float64)
    return waves if spec.kind == "stft" else emphasised(whole[None])[0] @ waves
