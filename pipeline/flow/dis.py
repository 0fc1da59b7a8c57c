"""Frames -> optical flow, by dense inverse search (Kroeger et al., arXiv:1603.03590) as OpenCV has it.

What is computed is how the brightness of each pixel of a frame moves until the next one, in pixels. In 8 bits, 0 is
128, and a pixel more is 127.5 / `bound` levels more, rounded; what is longer than `bound` is cut.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import simplejpeg

from pipeline.clips import jpeg
from pipeline.flow import config as settings
from pipeline.flow.config import SMALLEST, FlowConfig

ZERO = 128
"""Level of no motion."""
HALF = 127.5
"""Levels between no motion and the bound."""
LOW, WIDE = 32, 80
"""Rows below which OpenCV's `fast` and `ultrafast` choose their scales by the width alone. From the width `WIDE` on the
patches of the coarsest one are higher than the picture, and what is read and written lies beyond its memory."""


class Flow(NamedTuple):
    """The flow of a video."""

    jpegs: list[bytes]
    """x and y of each flow, in turn."""
    width: int
    height: int
    note: str = ""
    """What is to be said of it."""


class NoFlow(Exception):
    """A video of which there is no flow; `reason` is a word, the message says more."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def flow_of(jpegs: Sequence[bytes | memoryview], config: FlowConfig) -> Flow:
    """Compute the flow between each frame of a video and the next.

    Raises:
        NoFlow: there is one frame, or frames are too small.
        ValueError: a frame is no JPEG or of too many pixels, or two differ in size.
        UserError: OpenCV is missing.
    """
    cv2 = settings.library()
    if len(jpegs) < 2:
        raise NoFlow("one_frame", "it has one frame, and flow is between two")
    frames = (_grey(data, config.short_side, cv2) for data in jpegs)
    search = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{config.preset.upper()}"))
    found: list[bytes] = []
    before = next(frames)
    height, width = before.shape
    if min(height, width) < SMALLEST:
        raise NoFlow("too_small", f"its frames have {width} x {height} pixels, and flow wants {SMALLEST} on each side")
    if config.preset != "medium" and height < LOW and width >= WIDE:
        wants = f"flow.preset {config.preset} wants {LOW} rows from a width of {WIDE} on; medium does not"
        raise NoFlow("too_small", f"its frames have {width} x {height} pixels, and {wants}")
    for after in frames:
        if after.shape != before.shape:
            raise ValueError(f"a frame has {after.shape} pixels, and the one before it {before.shape}")
        flow = quantised(search.calc(before, after, None), config.bound)
        found += [_encoded(flow[..., part], config.quality) for part in (0, 1)]
        before = after
    return Flow(found, width, height)


def quantised(flow: np.ndarray, bound: float) -> np.ndarray:
    """Flow in pixels, float (...), in 8 bits."""
    levels: np.ndarray = np.rint(ZERO + flow * (HALF / bound)).clip(0, 255).astype(np.uint8)
    return levels


def _grey(data: bytes | memoryview, short_side: int | None, cv2: Any) -> np.ndarray:
    """The brightness of a frame, uint8 (H, W), no larger than asked for."""
    frame = jpeg.decode(data, colours="GRAY")[..., 0]
    if short_side is None or min(frame.shape) <= short_side:
        return frame
    height, width = (length * short_side // min(frame.shape) for length in frame.shape)
    smaller: np.ndarray = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def _encoded(levels: np.ndarray, quality: int) -> bytes:
    image = np.ascontiguousarray(levels)[..., None]
    encoded: bytes = simplejpeg.encode_jpeg(image, quality, "GRAY", "Gray", fastdct=False)
    return encoded
