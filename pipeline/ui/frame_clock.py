"""How the frames of a file go by: its rate and length, as FFmpeg reads them from the container."""

import logging
import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.segments import Segment
from pipeline.extraction.child import Limits
from pipeline.extraction.opened import opened
from pipeline.extraction.outcome import NoFrames
from pipeline.extraction.probe import Prober

log = logging.getLogger(__name__)
_RATE = re.compile(r", ([\d.]+)(k?) fps\b")
_LIMITS = Limits(cpu_seconds=60.0, memory=2 << 30, written=1 << 20)
"""Of a look at one file."""


@dataclass(frozen=True)
class FrameClock:
    """Frames a second, and seconds, of a file."""

    rate: float
    seconds: float

    @classmethod
    def read(cls, file: Path, binary: str) -> "FrameClock | None":
        """That of a file, by the FFmpeg at `binary`; None, with a warning, where it is no video or does not say."""
        try:
            with opened(file) as video, tempfile.TemporaryDirectory() as folder:
                facts = Prober(binary, video, Path(folder), _LIMITS).facts()
        except NoFrames as error:
            log.warning("%s: its segments are left out: %s", file, error)
            return None
        rate = _RATE.search(facts.streams[0].description)
        if not rate or not facts.seconds:
            log.warning("%s: its segments are left out, as it does not say how many frames it has", file)
            return None
        return cls(float(rate[1]) * (1000 if rate[2] else 1), facts.seconds)

    def support(self, segment: Segment) -> tuple[int, int]:
        """The first and last frame of a segment, counted from 1: those of the times k / rate in [start, end)."""
        total = max(1, round(self.seconds * self.rate))
        first = min(math.ceil(round(segment.start * self.rate, 6)) + 1, total)
        end = total if math.isinf(segment.end) else math.ceil(round(segment.end * self.rate, 6))
        return first, max(first, min(end, total))
