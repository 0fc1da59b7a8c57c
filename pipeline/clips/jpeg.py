"""JPEG -> pixels, but for bombs: a few bytes can say that they are 65,500 x 65,500 pixels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import simplejpeg

Colours = Literal["RGB", "GRAY"]

MOST_PIXELS = 1 << 26
"""Pixels of a frame that are decoded: 8,192 x 8,192."""


def size(data: bytes | memoryview) -> tuple[int, int]:
    """The height and width of a JPEG in pixels, as its header says.

    Raises:
        ValueError: it is no JPEG.
    """
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return height, width


def size_of_all(jpegs: Sequence[bytes | memoryview]) -> tuple[int, int]:
    """The height and width of one JPEG or more in pixels, as their headers say.

    Raises:
        ValueError: one is no JPEG or of too many pixels, or two differ in size.
    """
    height, width = size(jpegs[0])
    _refuse_bomb(height, width)
    for data in jpegs[1:]:
        if size(data) != (height, width):
            raise ValueError(f"a frame has {size(data)} pixels, and the first one {(height, width)}")
    return height, width


def decode(
    data: bytes | memoryview, min_height: int = 0, min_width: int = 0, into: np.ndarray | None = None,
    colours: Colours = "RGB",
) -> np.ndarray:  # fmt: skip
    """The pixels of a JPEG, uint8 (H, W, C), perhaps at a reduced scale that is no smaller than asked for.

    C is 3 for `colours` RGB and 1 for GRAY, which is the brightness alone.

    Args:
        into: array that the pixels are written to, of their size; None makes one.

    Raises:
        ValueError: it is no JPEG, of too many pixels, or of another size than `into`.
    """
    _refuse_bomb(*size(data))
    pixels: np.ndarray = simplejpeg.decode_jpeg(data, colours, min_height=min_height, min_width=min_width, buffer=into)
    if into is not None and pixels.shape != into.shape:
        raise ValueError(f"a frame has the shape {pixels.shape}, and the first one {into.shape}")
    return pixels


def shrink(data: bytes, side: int, quality: int) -> bytes:
    """The JPEG at libjpeg's smallest reduced scale whose short side has `side` pixels, its colours at half of that.

    One of which no reduced scale has them stays as it is.

    Args:
        quality: of the smaller one, 1 .. 100 (best).

    Raises:
        ValueError: it is no JPEG or of too many pixels.
    """
    pixels = decode(data, side, side)
    if pixels.shape[:2] == size(data):
        return data
    smaller: bytes = simplejpeg.encode_jpeg(pixels, quality, "RGB", "420", fastdct=False)
    return smaller


def decode_all(jpegs: Sequence[bytes | memoryview], at_least: int = 0, colours: Colours = "RGB") -> np.ndarray:
    """The pixels of one JPEG or more, all of one size, uint8 (T, H, W, C); the short side has `at_least` pixels.

    Raises:
        ValueError: one is no JPEG or of too many pixels, or two differ in size.
    """
    first = decode(jpegs[0], at_least, at_least, colours=colours)
    frames = np.empty((len(jpegs), *first.shape), np.uint8)
    frames[0] = first
    for data, into in zip(jpegs[1:], frames[1:], strict=True):
        decode(data, at_least, at_least, into, colours)
    return frames


def _refuse_bomb(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than a frame has")
