"""Settings of the flow, and the package that computes it."""

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core import params
from pipeline.core.errors import UserError

Preset = Literal["ultrafast", "fast", "medium"]


@dataclass(frozen=True)
class FlowConfig:
    """Section `flow` of params.yaml."""

    by: tuple[Literal["dis"], ...]
    """[dis] where a model takes flow, which its file in conf/model/ says, and there is a stage `flow`; else empty."""
    preset: Preset
    """How thoroughly OpenCV's dense inverse search looks: ultrafast, fast, or medium, which takes three to four times
    as long as fast and refines what it finds."""
    short_side: int | None
    """Short side in pixels at which flow is computed and stored; frames that are smaller keep their size. null: that of
    the stored frames."""
    bound: float
    """Pixels a frame at the ends of the 8-bit range; longer ways are cut to it. 20 is denseflow's `-b=20`."""
    quality: int
    """Quality of the JPEGs of the flow, 1 .. 100 (best)."""
    folder: str | None
    """Folder with the flow that denseflow, or the like, has computed (VIDEO/flow_x_00000.jpg, VIDEO/x_00001.jpg, ...);
    its JPEGs are taken as they are, and none is computed. null computes."""

    def __post_init__(self) -> None:
        params.require(
            (len(self.by) <= 1, f"by must be [dis] or [], not {list(self.by)}"),
            (
                self.short_side is None or self.short_side >= SMALLEST,
                f"short_side must be {SMALLEST} pixels or more, or null, not {self.short_side}",
            ),
            (0 < self.bound <= 1000, f"bound must be above 0 and at most 1000 pixels, not {self.bound:g}"),
            (1 <= self.quality <= 100, f"quality must lie in 1 .. 100 (best), not {self.quality}"),
        )


SMALLEST = 16
"""Pixels of the short side below which the search has no room for its patches."""


def library() -> Any:
    """The package `cv2`, which computes with one thread from now on.

    The search cuts a picture into a strip for each thread, and what is found in a strip starts from what was found
    before in the same strip: so other numbers of threads give other flow. Videos are what several threads share.

    Raises:
        UserError: it is not installed.
    """
    try:
        import cv2  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            f"Optical flow is computed by a package that is missing here ({error}). "
            "Install it: `python -m pip install --constraint constraints.txt --editable '.[flow]'`."
        ) from error
    cv2.setNumThreads(1)
    return cv2
