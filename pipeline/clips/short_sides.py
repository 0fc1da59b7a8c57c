"""Short sides: the sizes at which frames are stored, and which of them is read.

Whoever wants frames asks for the short side, in pixels, at which they are shown, and reads the smallest size that has
it: no frame is enlarged while a larger one is stored. Where none has it, the largest is read. What is asked for:

    training with random_side     the longest side that may be drawn
    training with scale_jitter    the side of which the smallest crop is no smaller than the clip
    validation, features          clip.side
    a test view                   its own scale, whatever the other views and models are
    the page's pictures           their width

Smaller sizes are made of the extracted frames by libjpeg's reduced decoding, which knows n eighths of a frame: by the
smallest n whose short side is long enough. 160 is half of 320 and five eighths of 256, and becomes 180 of 240.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.core import params


class Smaller(NamedTuple):
    """A smaller size, at which packing stores all frames besides the extracted ones."""

    side: int
    """Least short side in pixels; frames that are no larger stay as they are."""
    quality: int
    """Quality of its JPEGs, 1 .. 100 (best)."""


@dataclass(frozen=True)
class PackConfig:
    """Section `pack` of params.yaml."""

    short_sides: tuple[int, ...]
    """Short sides in pixels at which frames are packed, in descending order: extract.short_side, then smaller ones for
    models that take no more. A model reads the smallest that suffices, which is quicker. [320, 160] suits the report's
    models of 128 to 160 pixels, and data/lmdb takes about a third more disk."""
    jpeg_quality: int = 90
    """Quality of the JPEGs of the smaller sizes, 1 .. 100 (best); 90 is about what extract.jpeg_qscale: 2 is."""

    def __post_init__(self) -> None:
        falling = all(one > other for one, other in zip(self.short_sides, self.short_sides[1:], strict=False))
        params.require(
            (bool(self.short_sides), "short_sides must begin with extract.short_side"),
            (
                falling and min(self.short_sides, default=1) >= 1,
                f"short_sides must be numbers of pixels in descending order, not {list(self.short_sides)}",
            ),
            (1 <= self.jpeg_quality <= 100, f"jpeg_quality must lie in 1 .. 100 (best), not {self.jpeg_quality}"),
        )

    @property
    def smaller(self) -> tuple[Smaller, ...]:
        """The sizes below that of the extracted frames."""
        return tuple(Smaller(side, self.jpeg_quality) for side in self.short_sides[1:])


def choose(smaller: Iterable[int], asked: int) -> int | None:
    """The smallest of the smaller sizes whose short side is `asked` pixels or more; None for the extracted frames."""
    return min((side for side in smaller if side >= asked), default=None)
