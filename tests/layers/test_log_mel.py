"""The log-mel spectrogram, against loops over the formulas."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from pipeline.clips.sound_store import RATE
from pipeline.layers.log_mel import FLOOR, SILENCE, MelSpec, log_mel, mel_bands
from pipeline.layers.normalize import read_spec
from pipeline.models.audio_cnn import INPUT

SMALL = MelSpec(rate=16_000, window=50, hop=20, fft=64, mels=5, low=100.0, high=7_000.0, mean=-1.0, std=3.0)

KALDI = replace(SMALL, kind="kaldi")


def htk_mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def htk_hz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


def bands_by_loop(spec: MelSpec) -> np.ndarray:
    """Triangles of height 1 whose corners are evenly spaced in mel, one frequency at a time; Kaldi's are so in mel."""
    low, high = htk_mel(spec.low), htk_mel(spec.high)
    place = (lambda mel: mel) if spec.kind == "kaldi" else htk_hz
    corners = [place(low + (high - low) * n / (spec.mels + 1)) for n in range(spec.mels + 2)]
    weights = np.zeros((spec.mels, spec.fft // 2 + 1))
    for band in range(spec.mels):
        below, centre, above = corners[band : band + 3]
        for bin_ in range(spec.fft // 2 + 1):
            hz = bin_ * spec.rate / spec.fft
            hz = htk_mel(hz) if spec.kind == "kaldi" else hz
            if below < hz <= centre:
                weights[band, bin_] = (hz - below) / (centre - below)
            elif centre < hz < above:
                weights[band, bin_] = (above - hz) / (above - centre)
    return weights


def log_mel_by_loop(sound: np.ndarray, spec: MelSpec) -> np.ndarray:
    """A discrete Fourier transform of each window, as a sum."""
    padded = np.pad(sound / 2**15, spec.fft // 2, mode="reflect")
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / spec.window) for n in range(spec.window)])
    left = (spec.fft - spec.window) // 2
    bands, columns = bands_by_loop(spec), []
    for start in range(0, len(sound) + 1, spec.hop):
        part = padded[start + left : start + left + spec.window] * hann
        powers = []
        for k in range(spec.fft // 2 + 1):
            turns = np.exp(-2j * math.pi * k * (np.arange(spec.window) + left) / spec.fft)
            powers.append(abs((part * turns).sum()) ** 2)
        columns.append((np.log(bands @ np.array(powers) + SILENCE) - spec.mean) / spec.std)
    return np.stack(columns, axis=1)


def kaldi_by_loop(sound: np.ndarray, spec: MelSpec) -> np.ndarray:
    """Kaldi's: windows inside the sound, less their mean, with pre-emphasis, and the power no less than a floor."""
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / (spec.window - 1)) for n in range(spec.window)])
    bands, columns = bands_by_loop(spec), []
    for start in range(0, len(sound) - spec.window + 1, spec.hop):
        part = sound[start : start + spec.window] / 2**15
        part = part - part.mean()
        part = np.array([x - 0.97 * part[max(0, n - 1)] for n, x in enumerate(part)]) * hann
        powers = []
        for k in range(spec.fft // 2 + 1):
            turns = np.exp(-2j * math.pi * k * np.arange(spec.window) / spec.fft)
            powers.append(abs((part * turns).sum()) ** 2)
        columns.append((np.log(np.maximum(bands @ np.array(powers), 2.0**-23)) - spec.mean) / spec.std)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("spec", [SMALL, INPUT, KALDI], ids=["small", "audio_cnn", "kaldi"])
def test_the_bands_are_triangles(spec):
    np.testing.assert_allclose(mel_bands(spec).numpy(), bands_by_loop(spec), atol=1e-9)


def test_the_spectrogram_is_that_of_the_formula():
    sounds = np.random.default_rng(0).integers(-20_000, 20_000, (2, 205), np.int16)
    found = log_mel(torch.from_numpy(sounds), SMALL)
    assert found.shape == (2, 1, SMALL.mels, SMALL.frames(205)) == (2, 1, 5, 11)
    for sound, image in zip(sounds, found, strict=True):
        np.testing.assert_allclose(image[0].numpy(), log_mel_by_loop(sound, SMALL), rtol=1e-4, atol=1e-4)


def test_the_image_of_kaldis_kind_is_that_of_its_formula():
    sounds = np.random.default_rng(0).integers(-20_000, 20_000, (2, 205), np.int16)
    found = log_mel(torch.from_numpy(sounds), KALDI)
    assert found.shape == (2, 1, KALDI.mels, KALDI.frames(205)) == (2, 1, 5, 8)
    for sound, image in zip(sounds, found, strict=True):
        np.testing.assert_allclose(image[0].numpy(), kaldi_by_loop(sound, KALDI), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", [SMALL, KALDI], ids=["stft", "kaldi"])
def test_an_image_of_a_fixed_width_is_cut_or_filled_up_with_loudness_0(spec):
    sounds = torch.from_numpy(np.random.default_rng(0).integers(-20_000, 20_000, (1, 205), np.int16))
    whole = log_mel(sounds, spec)
    windows = whole.shape[-1]
    cut, filled = (log_mel(sounds, replace(spec, columns=windows + more)) for more in (-3, 3))
    assert torch.equal(cut, whole[..., :-3])
    assert torch.equal(filled[..., :-3], whole)
    assert torch.equal(filled[..., -3:], torch.full((1, 1, 5, 3), -spec.mean / spec.std))
    assert replace(spec, columns=7).frames(205) == 7


def test_silence_of_kaldis_kind_is_its_floor():
    image = log_mel(torch.full((1, 205), 9_000, dtype=torch.int16), KALDI)
    torch.testing.assert_close(image, torch.full_like(image, (math.log(FLOOR) - KALDI.mean) / KALDI.std))


def test_every_band_hears_something_and_a_tone_is_loudest_in_its_own():
    assert (mel_bands(INPUT).sum(dim=1) > 0).all()
    centres = [htk_hz(htk_mel(50) + (htk_mel(8000) - htk_mel(50)) * (n + 1) / 65) for n in range(64)]
    time = torch.arange(RATE) / RATE
    for band in (12, 30, 50):
        tone = (10_000 * torch.sin(2 * math.pi * centres[band] * time)).to(torch.int16)
        image = log_mel(tone[None], INPUT)[0, 0]
        assert image[:, 50].argmax() == band


def test_silence_is_finite_and_mixed_precision_changes_nothing():
    silent = torch.zeros(1, RATE, dtype=torch.int16)
    image = log_mel(silent, INPUT)
    torch.testing.assert_close(image, torch.full_like(image, (math.log(SILENCE) - INPUT.mean) / INPUT.std))
    noise = torch.randint(-3000, 3000, (1, RATE), dtype=torch.int16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_mel(noise, INPUT), log_mel(noise, replace(INPUT)))
        assert log_mel(noise, INPUT).dtype == torch.float32


def test_an_input_that_was_written_before_there_were_kinds_is_read():
    before = {key: value for key, value in asdict(SMALL).items() if key not in ("kind", "columns")}
    assert read_spec(before) == SMALL
    assert read_spec(asdict(KALDI)) == KALDI != SMALL


def test_the_sound_that_is_stored_has_the_rate_of_the_input():
    assert INPUT.rate == RATE
    assert INPUT.frames(3 * RATE) == 301
