"""JPEG -> pixels, but for bombs: a few bytes can say that they are 65,500 x 65,500 pixels."""

import numpy as np
import simplejpeg

MOST_PIXELS = 1 << 26
"""Pixels of a frame that are decoded: 8,192 x 8,192."""


def decode(data: bytes | memoryview, min_height: int = 0, min_width: int = 0) -> np.ndarray:
    """The pixels of a JPEG, uint8 (H, W, 3), perhaps at a reduced scale that is no smaller than asked for.

    Raises:
        ValueError: it is no JPEG, or of too many pixels.
    """
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    if height * width > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than a frame has")
    pixels: np.ndarray = simplejpeg.decode_jpeg(data, "RGB", min_height=min_height, min_width=min_width)
    return pixels
