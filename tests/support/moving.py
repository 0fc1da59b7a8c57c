"""Clips of one fixed camera: a disc goes its own way over the same background in each."""

import numpy as np
import simplejpeg

HEIGHT, WIDTH = 48, 64
BACKGROUND = np.kron(np.random.default_rng(0).integers(40, 160, (6, 8)), np.ones((8, 8)))


def clip(seed: int, frames: int = 60) -> np.ndarray:
    """A disc that goes through a few random places, uint8 (T, 48, 64, 3)."""
    places = np.random.default_rng(seed).uniform([4, 4], [HEIGHT - 4, WIDTH - 4], (5, 2))
    when = np.linspace(0, len(places) - 1, frames)
    rows, columns = (np.interp(when, range(len(places)), axis) for axis in places.T)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    discs = (y - rows[:, None, None]) ** 2 + (x - columns[:, None, None]) ** 2 < 49
    grey = np.where(discs, 230, BACKGROUND)
    return np.repeat(grey[..., None], 3, axis=3).astype(np.uint8)


def jpegs(pixels: np.ndarray, quality: int = 90) -> list[bytes]:
    """The frames as JPEGs."""
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality, "RGB") for frame in pixels]


def copies(pixels: np.ndarray) -> dict[str, list[bytes]]:
    """What may be done to a clip that still shows the same: how -> its JPEGs."""
    logo = pixels.copy()
    logo[:, 2:10, 46:62] = 255
    return {
        "coarse": jpegs(pixels, quality=10),
        "half": jpegs(pixels[:, ::2, ::2]),
        "bright": jpegs((pixels * 0.9 + 25).astype(np.uint8)),
        "logo": jpegs(logo),
        "trimmed": jpegs(pixels[6:]),
        "slower": jpegs(pixels[np.arange(len(pixels)) * 4 // 5 * 5 // 4]),
    }
