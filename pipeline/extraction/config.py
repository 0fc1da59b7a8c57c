"""What the extraction is asked for: rate, size and quality of the frames, and what one video may take of a machine."""

from dataclasses import dataclass
from typing import Literal

from pipeline.core import params


@dataclass(frozen=True)
class ExtractConfig:
    """Section `extract` of params.yaml."""

    fps: int
    """Frames per second of the extracted frames; the report has 30."""
    short_side: int
    """Longest short side of the extracted frames in pixels, an even number; smaller videos keep theirs. The report has
    320."""
    jpeg_qscale: int
    """Quality of the JPEGs on FFmpeg's scale, 2 (best) .. 31 (smallest files)."""
    timeout_seconds: float
    """Seconds of CPU time that FFmpeg may take for a video, beside `timeout_factor`; one that takes longer counts as
    broken."""
    shards: int
    """Number of frame shards; aim at 1 to 8 GB each. Another number extracts and packs everything again."""
    keep: bool = True
    """Whether the tars of frames are kept; false drops each once it is packed into its LMDB file, so that no frame is
    held twice. Back to true extracts everything again."""
    timeout_factor: float = 20
    """Seconds of CPU time that FFmpeg may take beside `timeout_seconds` for each second that the video lasts."""
    most_damage: float = 0.2
    """Largest share of a video that may be damaged or missing, 0 .. 1; one with more counts as broken."""
    most_frames: int = 54_000
    """Largest number of extracted frames of a video: half an hour at 30 frames per second."""
    too_long: Literal["refuse", "cut"] = "refuse"
    """What becomes of a video that has more frames: refuse lists it as broken, cut keeps the first `most_frames`."""
    most_pixels: int = 36_000_000
    """Largest number of pixels of a picture in the file; 8K has 33 million."""
    most_megabytes: int = 2000
    """Largest size of the JPEGs of a video together, in megabytes."""
    most_memory: int = 2000
    """Largest memory of the FFmpeg that decodes a video, in megabytes; 8K takes some 1,500. Each of machine.workers has
    one."""

    def __post_init__(self) -> None:
        even = self.short_side >= 2 and self.short_side % 2 == 0
        positive = ("timeout_seconds", "most_frames", "most_pixels", "most_megabytes", "most_memory")
        params.require(
            (self.fps >= 1, f"fps must be at least 1, not {self.fps}"),
            (even, f"short_side must be an even number of pixels, not {self.short_side}"),
            (2 <= self.jpeg_qscale <= 31, f"jpeg_qscale must lie in 2 (best) .. 31, not {self.jpeg_qscale}"),
            (self.shards >= 1, f"shards must be at least 1, not {self.shards}"),
            (self.timeout_factor >= 0, f"timeout_factor must not be negative, but is {self.timeout_factor}"),
            (0 <= self.most_damage <= 1, f"most_damage must lie in 0 .. 1, not {self.most_damage}"),
            *(
                (getattr(self, name) > 0, f"{name} must be greater than 0, not {getattr(self, name)}")
                for name in positive
            ),
        )
