"""How large an upload may be, and whether a file is so, as FFmpeg says before it decodes a picture."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.extraction import child
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.opened import opened
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import Facts, Prober
from pipeline.serve.refused import Refused

MEGABYTE = 1_000_000
_RATE = re.compile(r", ([\d.]+)(k?) fps\b")


@dataclass(frozen=True)
class Limits:
    """The largest upload that is answered."""

    megabytes: float = 100
    """Size of the file, in millions of bytes."""
    seconds: float = 60
    """Length of the video."""
    frames: int = 7200
    """Pictures in the file, and frames that are extracted from it."""
    pixels: int = 9_000_000
    """Width times height of a picture that is decoded; that of 4K cinema has 8.8 million."""

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return int(self.megabytes * MEGABYTE)

    def within(self, config: ExtractConfig) -> ExtractConfig:
        """The settings of an extraction that stops at these limits, too, where a file is more than it says."""
        frames = min(config.most_frames, self.frames, int((self.seconds + 1) * config.fps))  # lengths are rounded
        pixels = min(config.most_pixels, self.pixels)
        return replace(config, most_frames=max(1, frames), most_pixels=pixels, too_long="refuse")


def check(file: Path, limits: Limits, config: ExtractConfig, binary: str, folder: Path, *, sound: bool = False) -> None:
    """Refuse a file that says that it is larger than the limits.

    Args:
        config: the extraction that would follow.
        binary: path of FFmpeg.
        folder: an empty folder for FFmpeg to run in.
        sound: whether the sound alone is decoded, so that pictures may be large, many, or none; the length of a file
            without is limited by its extraction.

    Raises:
        Refused: it says so, or it is no video.
        MachineFault: FFmpeg came to no verdict.
    """
    most = child.Limits(config.timeout_seconds, config.most_memory * MEGABYTE, config.most_megabytes * MEGABYTE)
    try:
        with opened(file) as video:
            facts = Prober(binary, video, folder, most).facts()
    except NoFrames as broken:
        if sound and broken.reason == "no_video_stream":
            return
        raise Refused.broken(broken.reason, str(broken)) from broken
    for what, found, allowed in _sizes(facts, limits, config.fps, sound):
        if found > allowed:
            raise Refused.broken("too_large", f"{found:,.10g} {what}, and at most {allowed:,.10g} are taken")


def _sizes(facts: Facts, limits: Limits, fps: int, sound: bool) -> list[tuple[str, float, float]]:
    """What a file says of its size, and what is allowed; where `sound` alone is decoded, without its pictures."""
    stream = facts.streams[0]
    rate = fps if sound else max(fps, _rate(stream.description))
    sizes = [
        ("seconds", facts.seconds, limits.seconds),
        ("frames", round(facts.seconds * rate), limits.frames),
    ]
    picture = (f"pixels a picture ({stream.width}x{stream.height})", stream.width * stream.height, limits.pixels)
    return sizes if sound else [*sizes, picture]


def _rate(description: str) -> float:
    """Pictures a second; 0 where the file does not say."""
    found = _RATE.search(description)
    return float(found[1]) * (1000 if found[2] else 1) if found else 0.0
